# SPDX-License-Identifier: MIT
"""The in-guest program `perf_open`: every operation of perf_event_open(2) in one command."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass

from vmlab.guest.guest import Guest
from vmlab.guest.perf import Privilege

_INIT = 1
"""Another user's process that every guest has."""
_EVENTS = "/sys/kernel/tracing/events"


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfRow:
    """What each operation ended with."""

    errnos: Mapping[str, int]
    seccomp: int
    """The mode in `Seccomp:` of the process that asked."""

    @property
    def has_pmu(self) -> bool:
        """Whether a hardware event was let through; only root's row tells."""
        return self.errnos["hardware"] != errno.ENOENT


class Rows:
    """Asks in one guest, where the program lies at `path`."""

    def __init__(self, guest: Guest, path: str) -> None:
        self._guest = guest
        # Only root may look up the number of a tracepoint, whoever uses it then.
        ids = guest.as_root(f"cat {_EVENTS}/sched/sched_switch/id {_EVENTS}/syscalls/sys_enter_getppid/id; id -u lab")
        switch, getppid, self._user = ids.split()
        self._command = f"{path} -s {switch} -g {getppid} -p {_INIT}"

    def ask(self, privilege: Privilege, *, refusal: int = 0) -> PerfRow:
        """The row of someone with such a privilege, behind a seccomp filter that answers `refusal` if that is given."""
        command = f"{self._command} -f {refusal}" if refusal else self._command
        if privilege is Privilege.NONE:
            output = self._guest.succeed(command)
        elif privilege is Privilege.PERFMON:
            output = self._guest.as_root(f"{command} -u {self._user} -c")
        else:
            output = self._guest.as_root(command)
        numbers = {name: int(number) for name, number in (line.split() for line in output.splitlines())}
        return PerfRow(seccomp=numbers.pop("seccomp"), errnos=numbers)
