# SPDX-License-Identifier: MIT
"""The cgroup (version 2) in which this process may make others, and the controllers that its children have.

It is the systemd unit that the process runs in, if that has Delegate=yes (systemd's CGROUP_DELEGATION.md), or the root
of a container or of a system without systemd: nothing is made elsewhere in systemd's tree. The rules are in the
kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.lock import take

CONTROLLERS = ("memory", "pids")
"""Controllers that the lab uses; each is useful without the other."""
_UNITS = (".service", ".scope", ".slice")
_LEAF = "vmlab"
"""Child for the lab's own processes: a cgroup that has processes cannot give its children controllers."""
_TIMEOUT_S = 5


def find_delegated() -> Path:
    """Return the cgroup in which this process may make others; changes nothing. Raises `HostError` with the reason."""
    membership, mounts = (read(Path("/proc/self", name)) for name in ("cgroup", "mountinfo"))
    return delegated(membership, mounts, is_delegated=is_marked)


def delegated(membership: str, mounts: str, *, is_delegated: Callable[[Path], bool]) -> Path:
    """Return the delegated cgroup of a process, from its /proc/PID/cgroup and /proc/PID/mountinfo (proc(5)).

    It is that of the innermost systemd unit, since systemd decides who manages a unit's inside; else the root.
    """
    own = next((Path(line[3:]) for line in membership.splitlines() if line.startswith("0::/")), None)
    mount = next((line.split() for line in mounts.splitlines() if " - cgroup2 " in line), None)
    if own is None or mount is None:
        raise HostError("no cgroup2 file system is mounted")
    root, point = Path(mount[3]), Path(mount[4])
    # ".." leads out of the cgroup namespace.
    if ".." in (*own.parts, *root.parts) or not own.is_relative_to(root):
        raise HostError(f"the cgroup {str(own)!r} is not below {str(point)!r}")
    inside = own.relative_to(root)
    top = next((point / each for each in (inside, *inside.parents) if each.suffix in _UNITS), point)
    if not is_delegated(top):
        raise HostError(f"the cgroup {str(top)!r} is not delegated")
    return top


def is_marked(top: Path) -> bool:
    """True for a unit with systemd's mark (`user.delegate` since v251), or a root in which systemd has no units."""
    if top.suffix not in _UNITS:
        return os.access(top, os.W_OK) and not any(child.suffix in _UNITS for child in top.glob("*"))
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(top, name) == b"1":
                return True
    return False


def enable_controllers(top: Path) -> None:
    """Let the cgroup's children have the controllers. Raises `OSError` if there are none, or they cannot be enabled."""
    available = read(top / "cgroup.controllers").split()
    wanted = [name for name in CONTROLLERS if name in available]
    if not wanted:
        raise OSError(errno.ENOTSUP, "it has neither the memory nor the pids controller")
    control = top / "cgroup.subtree_control"
    descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Workers of one run start together.
        take(descriptor, timeout_s=_TIMEOUT_S, describe=f"the lock of {top}")
        if set(wanted) <= set(read(control).split()):
            return
        words = " ".join(f"+{name}" for name in wanted)
        try:
            write(control, words)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _move_to_leaf(top)
            write(control, words)
    finally:
        os.close(descriptor)


def _move_to_leaf(top: Path) -> None:
    """Move the lab's processes out of the delegated cgroup, as its rules demand; raises `OSError` if it has others."""
    # A process may fork meanwhile.
    for _ in range(5):
        pids = pids_in(top)
        first = next((pid for pid in reversed(_line_of(os.getpid())) if pid in pids), 0)
        if not all(first in _line_of(pid) for pid in pids):
            raise OSError(errno.EBUSY, "it has processes that are not the lab's")
        (top / _LEAF).mkdir(exist_ok=True)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                write(top / _LEAF / "cgroup.procs", str(pid))


def _line_of(pid: int) -> list[int]:
    """Return a process and its ancestors."""
    line = []
    while pid > 0:
        line.append(pid)
        fields = read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        pid = int(fields[1]) if fields else 0
    return line


def pids_in(path: Path) -> list[int]:
    """Return the processes of a cgroup. One outside of the pid namespace is 0."""
    return [int(row) for row in read(path / "cgroup.procs").split()]


def read(path: Path) -> str:
    """Return the text of a small file; empty if it is missing or not readable."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")
