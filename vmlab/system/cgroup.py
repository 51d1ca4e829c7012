# SPDX-License-Identifier: MIT
"""A cgroup (version 2) for untrusted processes: the kernel limits the memory and the number of all of them together.

The files are described in the kernel's Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import HostError, MachineLost
from vmlab.system.delegation import CONTROLLERS, enable_controllers, find_delegated, pids_in, read, write
from vmlab.system.private import is_own_directory
from vmlab.system.process import ProcessIdentity, run
from vmlab.system.scratch import is_abandoned, lock_directory
from vmlab.system.wait import wait_until

_ENTER = 'echo 0 >"$1" && shift && exec "$@"'
_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Limits that the processes of a cgroup have hit."""

    memory: bool = False
    processes: bool = False


class Cgroup:
    """A cgroup with limits, removed with its processes when it is closed; costs 10 ms.

    A killed lab's cgroup is removed by the next lab. Raises `HostError` with the reason where this process cannot make
    one. Either controller may be missing: then that limit does not hold.
    """

    def __init__(self, *, memory_mib: int, processes: int) -> None:
        self._lock_fd = -1
        top = find_delegated()
        try:
            _remove_left_behind(top)
            enable_controllers(top)
            owner = ProcessIdentity.of(os.getpid())
            self.path = Path(tempfile.mkdtemp(prefix=f"vmlab-{owner.pid}-{owner.started}-", dir=top))
        except OSError as error:
            raise _unusable(top, error.strerror) from None
        try:
            self._lock_fd = lock_directory(self.path)
            # A host without swap has no memory.swap.max; memory.oom.group came with v4.19.
            limits = {"memory.max": memory_mib * 2**20, "memory.swap.max": 0, "memory.oom.group": 1}
            for name, value in {**limits, "pids.max": processes}.items():
                if (self.path / name).exists():
                    write(self.path / name, str(value))
            tried = run(self.entered_by(["true"]), timeout_s=_TIMEOUT_S)
        except OSError as error:
            self.close()
            raise _unusable(top, error.strerror) from None
        if not tried.ok:
            self.close()
            raise _unusable(top, tried.tail)

    def entered_by(self, argv: Sequence[str]) -> list[str]:
        """Return the command line of a command that enters the cgroup first."""
        return ["sh", "-c", _ENTER, "enter", str(self.path / "cgroup.procs"), *argv]

    def hits(self) -> Hits:
        """Return the limits that were hit since the cgroup was made."""
        memory, pids = (counts(read(self.path / f"{name}.events")) for name in CONTROLLERS)
        # When the memory of the host or of a cgroup above runs out, oom_kill is counted here, but not oom.
        is_killed = memory.get("oom", 0) > 0 and memory.get("oom_kill", 0) > 0
        # Before v6.11 (commit 73e75e6fc352) it also counts forks that a cgroup above refused.
        return Hits(memory=is_killed, processes=pids.get("max", 0) > 0)

    def close(self) -> None:
        """Kill all processes in it and remove it; safe to call again."""
        _remove(self.path)
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def counts(events: str) -> dict[str, int]:
    """Return the counters of a file like memory.events. Pure."""
    rows = (line.split() for line in events.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdecimal()}


def _remove_left_behind(top: Path) -> None:
    for path in top.glob("vmlab-*-*-*"):
        if is_own_directory(path) and is_abandoned(path):
            _remove(path)


def _remove(path: Path) -> None:
    """Kill a cgroup's processes and remove it. One that does not end in time is left to the next lab."""

    def is_removed() -> bool:
        with contextlib.suppress(OSError):
            path.rmdir()
        if path.exists():
            _kill(path)
        return not path.exists()

    with contextlib.suppress(MachineLost):
        wait_until(is_removed, timeout_s=_TIMEOUT_S, describe=f"the end of {path}", interval_s=0.01)


def _kill(path: Path) -> None:
    with contextlib.suppress(OSError):
        if (path / "cgroup.kill").exists():  # since v5.14
            write(path / "cgroup.kill", "1")
            return
    # 0 would be the lab's own process group (kill(2)).
    for pid in filter(None, pids_in(path)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _unusable(top: Path, why: str | None) -> HostError:
    return HostError(f"the cgroup {str(top)!r} cannot be used: {why}")
