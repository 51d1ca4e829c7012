# SPDX-License-Identifier: MIT
"""Load and unload a module in a guest's kernel."""

from __future__ import annotations

import contextlib
import datetime
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
    """Copy the module's sources and the built module to the paths that a build in the guest would use."""
    GuestPlace(guest).put_tree(source, source.build_name)
    guest.put(built.ko, built.guest_path)


def carry(guest: Guest, built: Built) -> str:
    """Copy only the built module into a guest that does not have it yet; returns its path there."""
    path = shlex.quote(built.guest_path)
    if not guest.root(f"[ -e {path} ]").ok:
        guest.succeed(f"mkdir -p {shlex.quote(built.directory)}")
        guest.put(built.ko, built.guest_path)
    return built.guest_path


def insert(guest: Guest, built: Built, parameters: Mapping[str, object] | None = None) -> None:
    """Load the module with `insmod`; copies it first if the guest does not have it.

    Raises `GuestError` with the kernel's message when it refuses the module, and `KernelTrouble` for a splat; the
    guest must not be used after that. Raises `MachineLost` when the guest ends without a splat, or because of an
    emulator fault.
    """
    words = [carry(guest, built), *(f"{key}={value}" for key, value in (parameters or {}).items())]
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
        raise _refusal(built.info.name, done, findings)


def _refusal(name: str, done: Completed, findings: Findings) -> GuestError:
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
    return GuestError(
        f"{name} does not load: {reason or f'insmod ended with status {done.status}'}",
        detail=f"{done.stderr or done.stdout}\nkernel log:\n{said}".lstrip(),
    )


def remove(guest: Guest, name: str) -> None:
    """Unload a module with `rmmod`; raises `GuestError` when that fails."""
    done = guest.root(f"rmmod {shlex.quote(name)}", timeout_s=guest.limits.load_s)
    if not done.ok:
        reason = last_words(done.stderr, done.stdout) or f"status {done.status}"
        raise GuestError(f"{name} does not unload: {reason}", detail=done.stderr)


def is_loaded(guest: Guest, name: str) -> bool:
    """True if /proc/modules lists the module."""
    return guest.root(f"grep -q {shlex.quote(f'^{re.escape(name)} ')} /proc/modules").ok


@contextlib.contextmanager
def loaded(guest: Guest, built: Built, parameters: Mapping[str, object] | None = None) -> Iterator[Built]:
    """Load the module for the length of a `with` block; a test may unload it earlier."""
    if is_loaded(guest, built.info.name):
        remove(guest, built.info.name)
    insert(guest, built, parameters)
    try:
        yield built
    finally:
        if is_loaded(guest, built.info.name):
            remove(guest, built.info.name)
