# SPDX-License-Identifier: MIT
"""Facts about this host for `vmlab doctor`, each with its evidence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host.binfmt import native_architecture, require_programs_of
from vmlab.host.install import install_command, lacks_subordinate_ids, missing_requirements
from vmlab.host.processor import read_processor


class Grade(StrEnum):
    """Grade of a fact: its effect on the lab."""

    GOOD = "good"
    NOTE = "note"
    """No effect on tests, but on timing: no counters, or the host is a virtual machine."""
    SLOW = "slow"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One fact about the host; `advice` is the command that improves it. Topics are stable: tools that read bug reports
    rely on them."""

    topic: str
    grade: Grade
    finding: str
    advice: str = ""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Raw evidence under stable keys; for `--json` only."""


def host_facts(
    store: Path, *, memory_mib: int, architectures: Sequence[Architecture], uefi: Sequence[Architecture] = ()
) -> list[Fact]:
    """Collect the facts that need no QEMU, for targets of these architectures, of which `uefi` boot by UEFI firmware.
    Takes milliseconds."""
    return [
        _programs(architectures, uefi),
        *_emulation(architectures),
        _unprivileged(),
        _cores(),
        _memory(memory_mib),
        _disk(store),
        _disk(Path("/var/tmp")),
    ]


def is_usable(facts: list[Fact]) -> bool:
    return all(fact.grade is not Grade.BAD for fact in facts)


def _programs(architectures: Sequence[Architecture], uefi: Sequence[Architecture]) -> Fact:
    missing = missing_requirements(architectures, uefi=uefi)
    if missing:
        return Fact(
            topic="programs",
            grade=Grade.BAD,
            finding=f"missing: {', '.join(f'{row.name} ({row.reason})' for row in missing)}",
            advice=f"sudo {install_command(missing)}",
        )
    return Fact(topic="programs", grade=Grade.GOOD, finding="all installed")


def _emulation(architectures: Sequence[Architecture]) -> list[Fact]:
    """Facts about the architectures other than this host's."""
    facts = []
    for architecture in architectures:
        if architecture is native_architecture():
            continue
        try:
            require_programs_of(architecture)
            found = Fact(topic=f"{architecture} programs", grade=Grade.SLOW, finding="emulated")
        except HostError as error:
            found = Fact(topic=f"{architecture} programs", grade=Grade.BAD, finding=error.message, advice=error.hint)
        facts.append(found)
    return facts


def _unprivileged() -> Fact:
    if os.geteuid() == 0:
        return Fact(topic="user", grade=Grade.GOOD, finding="root")
    if lacks_subordinate_ids():
        return Fact(
            topic="user",
            grade=Grade.BAD,
            finding="ordinary, without a range in /etc/subuid and /etc/subgid: images cannot be built",
            advice="vmlab setup",
        )
    return Fact(topic="user", grade=Grade.GOOD, finding="ordinary, with subordinate ids: images can be built")


def _cores() -> Fact:
    cores = len(os.sched_getaffinity(0))
    processor = read_processor()
    kind = f" ({processor.vendor}, family {processor.family})" if processor.family else ""
    return Fact(
        topic="processor",
        grade=Grade.GOOD if cores > 1 else Grade.SLOW,
        finding=f"{cores} × {processor.model}{kind}",
        seen={
            "architecture": processor.architecture,
            "vendor": processor.vendor,
            "family": processor.family,
            "model": processor.model,
        },
    )


def processor_model() -> str:
    """Name of the first processor in /proc/cpuinfo."""
    return read_processor().model


def _memory(guest_mib: int) -> Fact:
    available = available_memory_mib()
    if available < guest_mib:
        return Fact(
            topic="memory",
            grade=Grade.BAD,
            finding=f"{available} MiB available, a guest needs {guest_mib} MiB",
            advice="free some memory, or give guests less: --vmlab-memory-mib 512",
        )
    return Fact(
        topic="memory",
        grade=Grade.GOOD,
        finding=f"{available} MiB available: room for {available // guest_mib} guests of {guest_mib} MiB",
    )


def available_memory_mib() -> int:
    """MemAvailable of /proc/meminfo, in MiB."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) // 1024
    return 0


def _disk(path: Path) -> Fact:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    free_gib = shutil.disk_usage(there).free / 2**30
    enough = free_gib >= 4
    return Fact(
        topic="disk",
        grade=Grade.GOOD if enough else Grade.BAD,
        finding=f"{free_gib:.0f} GiB free in {path}; a target needs 2 GiB, and 3 GiB in /var/tmp during its build",
        advice="" if enough else "vmlab images prune, or --vmlab-store DIR",
    )
