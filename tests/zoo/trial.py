# SPDX-License-Identifier: MIT
"""One bad module on one kernel: the lab's verdict in a word."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.errors import BuildError, CommandHung, GuestError, MachineLost, VmlabError
from vmlab.guest.guest import Guest
from vmlab.guest.watch import KernelWatch
from vmlab.klog.findings import Findings
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.module.build import Built
from vmlab.module.load import insert, remove

from .faults import NOT_VISIBLE, Fault

_LOAD_S = 40.0
"""Seconds after which loading counts as a hang: a generous guess; the slowest finished load took 4 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A verdict, and the evidence for it."""

    verdict: str
    evidence: str


def try_out(fault: Fault, lab: Lab, target: Target, work: Path) -> Seen:
    """Build a bad module, load it into a new fork, and run the commands that provoke it."""
    own = Lab(dataclasses.replace(lab.settings, module=fault.directory), notice=lab.context.notice).testbed(target)
    try:
        built = _spoiled(fault, own.built(), work)
    except BuildError as error:
        return Seen(verdict="refused at build", evidence=str(error))
    with own.fork() as running:
        guest = running.guest
        guest.limits = dataclasses.replace(guest.limits, load_s=_LOAD_S, command_s=_LOAD_S, connect_s=_LOAD_S)
        for command in fault.before:
            guest.as_root(command)
        watch = KernelWatch(guest)
        watch.begin(fault.name)
        failure = _provoke(fault, guest, built)
        return _judged(running, watch.end(), failure, built)


def _provoke(fault: Fault, guest: Guest, built: Built) -> VmlabError | None:
    try:
        insert(guest, built)
        for command in fault.then:
            guest.root(command)
    except VmlabError as error:
        return error
    return None


def _judged(running: Running, findings: Findings, error: VmlabError | None, built: Built) -> Seen:
    """The verdict, in the order of interest to a user: the kernel's report first."""
    evidence = "\n".join([*(splat.title for splat in findings.splats), *findings.notes, str(error or "")])
    if findings.splats:
        return Seen(verdict=findings.splats[0].kind, evidence=evidence)
    if isinstance(error, CommandHung):
        return Seen(verdict="hangs", evidence=evidence)
    if not running.machine.is_alive():
        return Seen(verdict="machine ended", evidence=evidence)
    if isinstance(error, MachineLost) or findings.lost is not None:
        return Seen(verdict="silent", evidence=f"{evidence}\n{findings.lost}")
    if findings.notes:
        return Seen(verdict="log overwritten", evidence=evidence)
    if error is not None:
        return Seen(verdict="refused at load", evidence=evidence)
    with contextlib.suppress(MachineLost):
        return Seen(verdict=_after_unloading(running.guest, built), evidence=evidence)
    return Seen(verdict="silent", evidence=evidence)


def _after_unloading(guest: Guest, built: Built) -> str:
    watch = KernelWatch(guest)
    watch.begin(f"rmmod {built.info.name}")
    if not guest.root(f"grep -q '^{built.info.name} ' /proc/modules").ok:
        return NOT_VISIBLE
    try:
        remove(guest, built.info.name)
    except CommandHung:
        return "hangs"
    except GuestError:
        return "stays loaded"
    splats = watch.end().splats
    return splats[0].kind if splats else NOT_VISIBLE


def _spoil_vermagic(data: bytes) -> bytes:
    place = data.index(b"vermagic=")
    end = data.index(b"\0", place)
    # Not the release: a kernel with CONFIG_MODVERSIONS ignores it (same_magic() in kernel/module).
    return data[:place] + data[place:end].replace(b" SMP ", b" SMQ ") + data[end:]


_SPOIL: dict[str, Callable[[bytes], bytes]] = {
    "wrong_vermagic": _spoil_vermagic,
    "damaged_elf": lambda data: data[: len(data) // 2],
}


def _spoiled(fault: Fault, built: Built, work: Path) -> Built:
    if fault.name not in _SPOIL:
        return built
    spoiled = work / built.ko.name
    spoiled.write_bytes(_SPOIL[fault.name](built.ko.read_bytes()))
    return dataclasses.replace(built, ko=spoiled)
