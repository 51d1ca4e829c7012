# SPDX-License-Identifier: MIT
"""Restrictions of a QEMU process: its own user, no privileges, a seccomp filter, no core dump, its own environment.

A guest that takes over its QEMU has the rights of that process. QEMU starts with them: nothing is dropped later.
"""

from __future__ import annotations

import functools
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.process import find_program, run

GROUP = 61184
"""Group of every confined QEMU: the memory file of a snapshot belongs to it. The first of the numbers 61184 to 65519,
which systemd reserves for services with DynamicUser= and useradd never gives out (systemd's docs/UIDS-GIDS.md)."""
USERS = range(GROUP + 1, 65520)
"""User ids of confined QEMUs, one for each machine, so that no QEMU can signal or trace another."""
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
"""Value for QEMU's -sandbox: all that it can deny (qemu-options.hx)."""
KVM_DEVICE = Path("/dev/kvm")

_NEEDED = {"CAP_CHOWN": 0, "CAP_KILL": 5, "CAP_SETGID": 6, "CAP_SETUID": 7, "CAP_SETPCAP": 8}
"""Capabilities to give a process another user and to end it, by number (linux/capability.h)."""
_NOTHING = ("-nodefaults", "-no-user-config", "-display", "none", "-machine", "none", "-qmp", "stdio")
_QUIT = '{"execute": "qmp_capabilities"}\n{"execute": "quit"}\n'
_PROBE_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """The restrictions of a QEMU process that this host allows."""

    has_own_user: bool = False
    """True if each QEMU gets a user of its own: the lab is root."""
    groups: tuple[int, ...] = ()
    """Groups that QEMU needs in addition to its own: that of /dev/kvm."""
    has_sandbox: bool = False
    """True if QEMU installs its seccomp filter."""
    missing: tuple[str, ...] = ()
    """Restrictions that could be expected but are not possible, each with the reason."""
    user: int | None = None
    """User of one machine's QEMU; None for the lab's own."""

    @property
    def notice(self) -> str:
        """One line that names what is missing; empty if nothing is."""
        return f"QEMU is less confined than it could be: {'; '.join(self.missing)}" if self.missing else ""

    def for_machine(self) -> Confinement:
        """Return the restrictions of one machine, with a user that no process has now."""
        return replace(self, user=_free_user(_users_of_processes())) if self.has_own_user else self

    def as_the_labs_user(self, why: str) -> Confinement:
        """Return the restrictions without a user of QEMU's own, and the reason."""
        missing = (*self.missing, f"it runs as root ({why})")
        return replace(self, has_own_user=False, user=None, groups=(), missing=missing)

    def prefix(self) -> list[str]:
        """Return the command that starts another command under the restrictions.

        A parent-death signal must be set afterwards: a change of the user clears it (prctl(2)).
        """
        words = ["prlimit", "--core=0:0", "setpriv", "--no-new-privs"]
        if self.user is None:
            return words
        groups = [f"--groups={','.join(map(str, self.groups))}"] if self.groups else ["--clear-groups"]
        ids = [f"--reuid={self.user}", f"--regid={GROUP}", *groups]
        return [*words, *ids, "--inh-caps=-all", "--bounding-set=-all"]

    def options(self) -> list[str]:
        """Return QEMU's own options."""
        return ["-sandbox", SANDBOX] if self.has_sandbox else []

    def grant(self, descriptor: int, mode: int) -> None:
        """Let the group of confined QEMUs use an open file or directory with the bits of `mode`."""
        if self.user is not None:
            found = os.fstat(descriptor)
            if found.st_gid != GROUP:
                os.fchown(descriptor, -1, GROUP)
            if stat.S_IMODE(found.st_mode) != mode:
                os.fchmod(descriptor, mode)

    def give(self, path: Path) -> None:
        """Make QEMU's user the owner of a directory."""
        if self.user is not None:
            os.chown(path, self.user, GROUP)


def environment(directory: Path) -> Mapping[str, str]:
    """Return the whole environment of a QEMU; the lab's may hold secrets. Its temporary files go to `directory`."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TMPDIR": str(directory)}


@functools.cache
def find_confinement(program: str, *, is_kvm: bool) -> Confinement:
    """Return the restrictions that this host allows for a QEMU program; `is_kvm` if it must open /dev/kvm.

    Starts QEMU without a machine, 0.1 s, once per process. Raises `HostError` if the program is missing.
    """
    path = find_program(program)
    if path is None:
        raise HostError(f"{program} is not installed", hint="vmlab setup")
    device = KVM_DEVICE if is_kvm else None
    groups, why_not = _own_user(device)
    wanted = Confinement(has_own_user=not why_not and os.geteuid() == 0, groups=groups, has_sandbox=True)
    refusal = ""
    for attempt in weaker(wanted):
        refused = _refusal(path, attempt.for_machine(), device)
        if not refused:
            return replace(attempt, missing=_missing(wanted, attempt, why_not, refusal))
        refusal = refusal or refused
    return Confinement(missing=_missing(wanted, Confinement(), why_not, refusal))


def weaker(wanted: Confinement) -> tuple[Confinement, ...]:
    """Return the confinements to try, the strongest first. Pure."""
    users = (True, False) if wanted.has_own_user else (False,)
    return tuple(
        replace(wanted, has_own_user=user, has_sandbox=sandbox, groups=wanted.groups if user else ())
        for user in users
        for sandbox in (True, False)
    )


def _missing(wanted: Confinement, found: Confinement, why_not: str, refusal: str) -> tuple[str, ...]:
    said = [f"it runs as root ({why_not})"] if why_not else []
    if wanted.has_own_user and not found.has_own_user:
        said.append(f"it runs as root ({refusal})")
    if not found.has_sandbox:
        said.append(f"it has no seccomp filter ({refusal})")
    return tuple(said)


def _own_user(device: Path | None) -> tuple[tuple[int, ...], str]:
    """Return the groups of a QEMU with a user of its own, and the reason why it cannot have one."""
    if os.geteuid() != 0:
        return (), ""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    lacking = lacking_capabilities(status)
    if lacking:
        return (), f"this process lacks {', '.join(lacking)}"
    if device is None or not device.exists():
        return (), ""
    found = device.stat()
    return groups_for(found.st_mode, found.st_gid, device)


def groups_for(mode: int, gid: int, device: Path) -> tuple[tuple[int, ...], str]:
    """Return the groups by which a user may open a device, and the reason if only root may. Pure."""
    if mode & stat.S_IROTH and mode & stat.S_IWOTH:
        return (), ""
    if mode & stat.S_IRGRP and mode & stat.S_IWGRP and gid != 0:
        return (gid,), ""
    return (), f"only root may open {device}"


def lacking_capabilities(status: str) -> list[str]:
    """Return the capabilities that a process lacks to give a child another user, from its /proc/PID/status. Pure."""
    match = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    effective = int(match[1], 16) if match else 0
    return [name for name, number in _NEEDED.items() if not effective >> number & 1]


def _refusal(path: str, confinement: Confinement, device: Path | None) -> str:
    """Return the last line of a QEMU that does not start under a confinement; empty if it does."""
    if device is not None and confinement.user is not None and device.exists():
        refused = _complaint([*confinement.prefix(), "sh", "-c", 'exec 3<>"$1"', "sh", str(device)])
        if refused:
            return refused
    return _complaint([*confinement.prefix(), path, *confinement.options(), *_NOTHING], _QUIT)


def _complaint(argv: list[str], input_text: str = "") -> str:
    try:
        ended = run(argv, timeout_s=_PROBE_TIMEOUT_S, input_text=input_text)
    except HostError as error:
        return error.message
    if ended.ok:
        return ""
    return ended.tail.splitlines()[-1] if ended.tail else f"status {ended.status}"


def _users_of_processes() -> Iterable[int]:
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                yield entry.stat().st_uid
            except OSError:
                continue


def _free_user(taken: Iterable[int]) -> int:
    return secrets.choice(sorted(set(USERS) - set(taken)) or USERS)


def confined_words(words: Sequence[str], confinement: Confinement) -> list[str]:
    """Return QEMU's command with the options of its confinement."""
    return [words[0], *confinement.options(), *words[1:]]
