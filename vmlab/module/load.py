# SPDX-License-Identifier: MIT
"""Load and unload a module in a guest's kernel."""

from __future__ import annotations

import contextlib
import datetime
import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping

from vmlab.errors import CommandHung, EmulatorFault, GuestError, MachineLost, VmlabError, hides_frames
from vmlab.guest.guest import Guest
from vmlab.guest.transport import Completed
from vmlab.guest.trouble import as_error, require_checked
from vmlab.guest.watch import KernelWatch
from vmlab.klog.findings import Findings
from vmlab.klog.verdict import judge
from vmlab.module.build import Built
from vmlab.module.build_root import GuestPlace
from vmlab.module.confined_symbols import ConfinedSymbols
from vmlab.module.hang_source import locate_hang
from vmlab.module.inspect import ModuleInfo
from vmlab.module.refusal import refusal_of
from vmlab.module.source import Source
from vmlab.module.symbols import with_sources
from vmlab.reason.command import last_words
from vmlab.reason.load import load_reason

_WARNING = 4
"""KERN_WARNING (include/linux/kern_levels.h)."""
_REFUSAL_RECORDS = 200
"""Maximum of records that are searched for the reason of a refusal, and shown."""

__tracebackhide__ = hides_frames


def bring(guest: Guest, source: Source, built: Built) -> None:
    """Copy the sources, and the module with those that it needs, to the paths that a build in the guest would use."""
    GuestPlace(guest).put_tree(source, source.build_name)
    for each in (*built.needs, built):
        carry(guest, each)


def carry(guest: Guest, built: Built) -> str:
    """Copy only the built module into a guest that does not have it yet; returns its path there."""
    path = shlex.quote(built.guest_path)
    if not guest.root(f"[ -e {path} ]").ok:
        guest.succeed(f"mkdir -p {shlex.quote(posixpath.dirname(built.guest_path))}")
        guest.put(built.ko, built.guest_path)
    return built.guest_path


def insert(guest: Guest, built: Built, parameters: Mapping[str, object] | None = None) -> None:
    """Load the module with `insmod`, and before it the modules that it needs and that are not loaded: the tree's with
    `insmod`, the kernel's with `modprobe`. Copies a .ko first if the guest does not have it.

    `parameters` add to those of the tree's description and replace them. Raises `GuestError` with the kernel's message
    when it refuses a module, and `KernelTrouble` for a splat; the guest must not be used after that. Raises
    `MachineLost` when the guest ends without a splat, or because of an emulator fault.
    """
    for need in built.needs:
        if not is_loaded(guest, need.info.name):
            _insert(guest, need, need.parameters)
    _insert(guest, built, {**built.parameters, **(parameters or {})})


def _insert(guest: Guest, built: Built, parameters: Mapping[str, object]) -> None:
    _load_kernel_modules(guest, built)
    _put_firmware(guest, built)
    words = [carry(guest, built), *(f"{key}={parameter_text(value)}" for key, value in parameters.items())]
    watch = KernelWatch(guest)
    watch.begin(f"insmod {built.info.name}")
    failure: VmlabError | None = None
    done = None
    try:
        done = guest.root(f"insmod {shlex.join(words)}", timeout_s=guest.limits.load_s)
    except EmulatorFault:
        raise
    except (MachineLost, GuestError) as error:
        failure = error
    findings = watch.end()
    if isinstance(failure, CommandHung):
        locate_hang(failure, ConfinedSymbols(built.ko, root=built.directory), built.info.name)
    today = datetime.date.today()
    judgement = judge(findings, expected=(), rules=guest.rules, release=guest.release, today=today)
    if judgement.trouble:
        splats = with_sources(judgement.trouble, ConfinedSymbols(built.ko, root=built.directory), built.info.name)
        raise as_error(judgement.reason, splats, failure, guest=guest) from failure
    require_checked(findings)
    if failure is not None:
        raise failure
    if done is not None and not done.ok:
        raise _refusal(built.info, done, findings)


def parameter_text(value: object) -> str:
    """Return a parameter's value as the kernel reads it (kernel/params.c): Y and N, commas in a list, quotes around
    blanks. Pure."""
    if isinstance(value, bool):
        return "Y" if value else "N"
    text = ",".join(map(parameter_text, value)) if isinstance(value, list | tuple) else str(value)
    return f'"{text}"' if any(character.isspace() for character in text) and '"' not in text else text


def _load_kernel_modules(guest: Guest, built: Built) -> None:
    """Load the modules of the kernel that a module depends on; a soft dependency may be missing (modprobe.d(5))."""
    names = [name for name in built.kernel_modules if name in {each.replace("-", "_") for each in built.info.depends}]
    for name in built.kernel_modules:
        done = guest.root(f"modprobe {shlex.quote(name)}", timeout_s=guest.limits.load_s)
        if not done.ok and name in names:
            raise GuestError(
                f"{built.info.name} does not load: it depends on the kernel's module {name}: "
                f"{last_words(done.stderr, done.stdout) or f'modprobe ended with status {done.status}'}",
                hint="choose a kernel that has it with --vmlab-target",
                detail=done.stderr,
            )


def _put_firmware(guest: Guest, built: Built) -> None:
    """Copy the firmware of the tree to the directory in which the kernel looks for it."""
    for name, local in built.firmware.items():
        path = f"/lib/firmware/{name}"
        guest.put(local, f"/tmp/{built.info.name}.firmware")
        folder = shlex.quote(posixpath.dirname(path))
        guest.as_root(f"mkdir -p {folder} && cp /tmp/{built.info.name}.firmware {shlex.quote(path)}")


def _refusal(info: ModuleInfo, done: Completed, findings: Findings) -> GuestError:
    name = info.name
    # The kernel prints a few lines about a module that it refuses, just before it returns.
    last = findings.records[-_REFUSAL_RECORDS:]
    own = [record for record in last if record.facility == 0]
    reason = load_reason(
        name,
        kernel=[record.text for record in own],
        warnings=[record.text for record in own if record.level <= _WARNING],
        stderr=done.stderr,
        stdout=done.stdout,
    )
    said = "\n".join(map(str, last))
    answer = last_words(done.stderr, done.stdout)
    # The kernel's own message about the module, if there is one, is the better reason.
    known = refusal_of(info, answer=answer, kernel=[record.text for record in own]) if answer in reason else None
    words = known.reason if known else reason or f"insmod ended with status {done.status}"
    logged = reason.removeprefix(answer) if known and reason.startswith(answer) else ""
    return GuestError(
        f"{name} does not load: {words}{logged}",
        hint=known.hint if known else "",
        detail=f"{done.stderr or done.stdout}\nkernel log:\n{said}".lstrip(),
    )


def remove(guest: Guest, name: str) -> None:
    """Unload a module with `rmmod`; raises `GuestError` when that fails."""
    done = guest.root(f"rmmod {shlex.quote(name)}", timeout_s=guest.limits.load_s)
    if not done.ok:
        reason = last_words(done.stderr, done.stdout) or f"status {done.status}"
        raise GuestError(f"{name} does not unload: {reason}", detail=done.stderr)


def remove_with_needs(guest: Guest, built: Built) -> None:
    """Unload a module, and then those that it needs, the last one first; raises as `remove`. Modules of the kernel
    stay."""
    for each in (built, *reversed(built.needs)):
        if is_loaded(guest, each.info.name):
            remove(guest, each.info.name)


def is_loaded(guest: Guest, name: str) -> bool:
    """True if /proc/modules lists the module."""
    return guest.root(f"grep -q {shlex.quote(f'^{re.escape(name)} ')} /proc/modules").ok


@contextlib.contextmanager
def loaded(guest: Guest, built: Built, parameters: Mapping[str, object] | None = None) -> Iterator[Built]:
    """Load the module, and those that it needs, for the length of a `with` block; a test may unload it earlier."""
    remove_with_needs(guest, built)
    insert(guest, built, parameters)
    try:
        yield built
    finally:
        remove_with_needs(guest, built)
