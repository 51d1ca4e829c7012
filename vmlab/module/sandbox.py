# SPDX-License-Identifier: MIT
"""Command lines of a build's sandbox, by bubblewrap or by the lab's own program. Pure, but for `read_identity`.

A stage is a mount namespace with the tool root and the writable directories (`vmlab.module.stage`). Each command
enters it and gets namespaces of its own. docs/building.md has a table of the parts.
"""

from __future__ import annotations

import os
import pwd
import re
import resource
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmlab.image.image import BUILD_DIRECTORY
from vmlab.system import confine
from vmlab.system.process import find_program

BUILD_ID = 60700
"""User and group of a build in its namespace, and on the host where root starts it. systemd's UIDS-GIDS.md leaves 60578
to 61183 unused, and a container with 65536 users has it."""
STAGE = "/sys"
"""Directory that the stage's mounts hide, in a mount namespace of their own. Every system has it, every user may pass
through it, and no build's file is in it."""
MEMORY_MIB = 4096
"""Memory of a build's processes: gcc takes up to 0.5 GiB a file, and a build runs two."""
ADDRESS_SPACE_BYTES = 2 * MEMORY_MIB * 2**20
"""Virtual memory of one process, a limit that needs no watching."""
DISK_MIB = 2048
"""Space for the build directory, /tmp and /dev/shm together, in memory: sources are at most 64 MiB, and objects with
debug information are about ten times as large."""
FILES = 200_000
"""Number of files in that space."""
FILE_BYTES = 2**30
"""Largest file: a quarter GiB more than twice the largest .ko that is taken out."""
FILES_OPEN = 1024
"""Number of files that a process may have open: the usual soft limit."""
PROCESSES = 512
"""Number of processes and threads of a build: make -j2 runs about 20."""

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
ENVIRONMENT = (f"PATH={_PATH}", f"HOME={BUILD_DIRECTORY}", "LC_ALL=C")
"""The whole environment of a build's commands."""
# The kernel forgets PR_SET_PDEATHSIG when a process changes its user (prctl(2)), as on the way into the sandbox: a lab
# that is killed meanwhile would leave the build behind. Its end of standard input tells what is inside.
_UNTIL_THE_LAB_ENDS = "exec 3<&0 </dev/null; { read -r _ <&3; kill -9 -1; } >/dev/null 2>&1 & exec 3<&-; "
_PER_NAMESPACE = (5, 14)
"""Release since which RLIMIT_NPROC counts per user namespace (kernel commit 21d1c5e386bc)."""


class Sandbox(StrEnum):
    """Program that confines a build."""

    BUBBLEWRAP = "bubblewrap"
    OWN = "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Users of a stage's namespace: its root is the caller, and BUILD_ID another user of the host, if there is one."""

    uid: int
    gid: int
    """The caller's, on the host."""
    build_uid: int | None = None
    build_gid: int | None = None
    """The build's, on the host; None for the caller's."""

    @property
    def has_own_user(self) -> bool:
        return self.build_uid is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """Facts that a sandbox's command line depends on."""

    sandbox: Sandbox
    stage_pid: int
    has_own_user: bool
    limits: Mapping[str, int]
    """Options of prlimit(1), with their values."""
    filter_fd: int
    """Descriptor of the system call filter."""


def confined(confinement: Confinement, command: str) -> list[str]:
    """Return the command line that runs a shell command in the sandbox, until its standard input ends."""
    limits = [f"--{name}={value}" for name, value in sorted(confinement.limits.items())]
    stage = ["--target", str(confinement.stage_pid), "--user", "--mount", "--preserve-credentials"]
    # If memory runs out, the kernel ends a build before anything else.
    prefix = ["choom", "-n", "1000", "--", "nsenter", *stage, "--", "prlimit", *limits, "--"]
    shell = ["/bin/sh", "-c", f"{_UNTIL_THE_LAB_ENDS}cd {BUILD_DIRECTORY} && {command}"]
    inner = _bubblewrap if confinement.sandbox is Sandbox.BUBBLEWRAP else _own
    return [*prefix, *inner(confinement, shell)]


def _bubblewrap(confinement: Confinement, shell: Sequence[str]) -> list[str]:
    ids = ["--reuid", str(BUILD_ID), "--regid", str(BUILD_ID), "--clear-groups", "--inh-caps=-all"]
    return [
        *(["setpriv", *ids, "--"] if confinement.has_own_user else []),
        *("env", "-i", *ENVIRONMENT, "bwrap", "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session"),
        *("--uid", str(BUILD_ID), "--gid", str(BUILD_ID), "--cap-drop", "ALL", "--hostname", "vmlab"),
        # A writable /proc would let a build set its oom_score_adj back.
        *("--ro-bind", f"{STAGE}/root", "/", "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"),
        # /dev/full reads as zeros too, but cannot be mapped: no limit counts a shared mapping of /dev/zero.
        *("--dev-bind", "/dev/full", "/dev/zero"),
        *("--bind", f"{STAGE}/build", BUILD_DIRECTORY, "--bind", f"{STAGE}/tmp", "/tmp"),
        # bubblewrap's /dev is a tmpfs without a limit.
        *("--bind", f"{STAGE}/shm", "/dev/shm", "--remount-ro", "/dev"),
        *("--chdir", BUILD_DIRECTORY, "--seccomp", str(confinement.filter_fd), "--", *shell),
    ]


def _own(confinement: Confinement, shell: Sequence[str]) -> list[str]:
    python = [sys.executable, "-I", "-S", "-B", str(Path(confine.__file__).resolve())]
    whose = "own" if confinement.has_own_user else "caller"
    return ["env", "-i", *ENVIRONMENT, *python, str(confinement.filter_fd), STAGE, str(BUILD_ID), whose, *shell]


def maps(identity: Identity) -> tuple[str, str]:
    """Return the uid_map and gid_map (user_namespaces(7)) of a stage's namespace."""

    def rows(caller: int, build: int | None) -> str:
        return f"0 {caller} 1\n" + (f"{BUILD_ID} {build} 1\n" if build is not None else "")

    return rows(identity.uid, identity.build_uid), rows(identity.gid, identity.build_gid)


def limits_of(identity: Identity, *, kernel: str, hard: Mapping[str, int]) -> dict[str, int]:
    """Return the resource limits for a kernel release; `hard` are the caller's hard limits, which cannot be raised.

    RLIMIT_NPROC would count the caller's other processes on old kernels, so it is left out there.
    """
    # core(5): with 1 the kernel starts no program that core_pattern names, which would run on the host; with 0 it does.
    limits = {"as": ADDRESS_SPACE_BYTES, "fsize": FILE_BYTES, "core": 1, "nofile": FILES_OPEN}
    release = tuple(int(number) for number in re.findall(r"\d+", kernel)[:2])
    if identity.has_own_user or release >= _PER_NAMESPACE:
        limits["nproc"] = PROCESSES
    return {name: min(value, hard.get(name, value)) for name, value in limits.items()}


def hard_limits() -> dict[str, int]:
    """Return this process's finite hard limits, by the names of prlimit's options."""
    names = {
        "as": resource.RLIMIT_AS,
        "fsize": resource.RLIMIT_FSIZE,
        "core": resource.RLIMIT_CORE,
        "nofile": resource.RLIMIT_NOFILE,
        "nproc": resource.RLIMIT_NPROC,
    }
    found = {name: resource.getrlimit(number)[1] for name, number in names.items()}
    return {name: value for name, value in found.items() if value != resource.RLIM_INFINITY}


def last_subordinate(rows: Iterable[str], names: Iterable[str]) -> int | None:
    """Return the last id of a user's first range in /etc/subuid or /etc/subgid (subuid(5)); None without one. The last
    one, because containers of that user take the first."""
    wanted = set(names)
    for row in rows:
        user, first, count = (*row.strip().split(":"), "", "", "")[:3]
        if user in wanted and first.isdigit() and count.isdigit() and int(count) > 0:
            return int(first) + int(count) - 1
    return None


def covers(id_map: str, number: int) -> bool:
    """True if a user namespace with this /proc/PID/uid_map has a user of this number."""
    rows = (tuple(map(int, row.split())) for row in id_map.splitlines())
    return any(first <= number < first + count for first, _, count in rows)


def read_identity(tool_root: Path) -> Identity:
    """Return the users for builds on this host.

    The build's own user must be able to read the tool root, which is the caller's.
    """
    uid, gid = os.geteuid(), os.getegid()
    plain = Identity(uid=uid, gid=gid)
    if not _is_readable(tool_root):
        return plain
    if uid == 0:
        id_maps = [Path("/proc/self", name).read_text(encoding="ascii") for name in ("uid_map", "gid_map")]
        if all(covers(text, BUILD_ID) for text in id_maps):
            return Identity(uid=uid, gid=gid, build_uid=BUILD_ID, build_gid=BUILD_ID)
        return plain
    names = [str(uid), *_name_of(uid)]
    users, groups = (last_subordinate(_rows(Path(file)), names) for file in ("/etc/subuid", "/etc/subgid"))
    if users is None or groups is None or find_program("newuidmap") is None:
        return plain
    return Identity(uid=uid, gid=gid, build_uid=users, build_gid=groups)


def _is_readable(tool_root: Path) -> bool:
    return all((tool_root / name).stat().st_mode & 0o005 == 0o005 for name in ("", "usr", "usr/bin"))


def _name_of(uid: int) -> list[str]:
    try:
        return [pwd.getpwuid(uid).pw_name]
    except KeyError:
        return []


def _rows(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
