# SPDX-License-Identifier: MIT
"""Wrapper of the in-guest program `perf_open`: every operation of perf_event_open(2) in one command."""

from __future__ import annotations

import errno
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vmlab.guest.guest import Guest
from vmlab.perf.access import LEVEL_FILE, Privilege

_INIT = 1
"""A process of another user that every guest has."""
_EVENTS = "/sys/kernel/tracing/events"
# Only root may look up the id of a tracepoint, even when another user opens it.
_LOOK_UP = (
    f"switch=$(cat {_EVENTS}/sched/sched_switch/id); getppid=$(cat {_EVENTS}/syscalls/sys_enter_getppid/id); "
    "user=$(id -u lab)"
)
_TYPED = f"""\
events={_EVENTS}
switch=$(sudo cat $events/sched/sched_switch/id) getppid=$(sudo cat $events/syscalls/sys_enter_getppid/id)
for who in "-u $(id -u)" "-u $(id -u) -c" ""; do sudo ./perf_open -s $switch -g $getppid -p {_INIT} $who; done"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerfRow:
    """Errno of each operation."""

    errnos: Mapping[str, int]
    seccomp: int
    """Seccomp mode of the asking process, from `Seccomp:`."""

    @property
    def has_pmu(self) -> bool:
        """True if a hardware event was accepted; valid only in root's row."""
        return self.errnos["hardware"] != errno.ENOENT


class Rows:
    """Runs the program at `path` in one guest. Each call is one command."""

    def __init__(self, guest: Guest, path: str) -> None:
        self._guest = guest
        self._path = path

    def ask(self, privilege: Privilege, *, refusal: int = 0) -> PerfRow:
        """The row of a process with this privilege; with `refusal`, behind a seccomp filter that answers that errno."""
        return _row(self._guest.as_root(f"{_LOOK_UP}; {self._command(privilege)} -f {refusal}"))

    def ask_levels(self, levels: Sequence[int]) -> dict[int, dict[Privilege, PerfRow]]:
        """The rows of all privileges at each level, in one command; the last level stays set."""
        commands = "; echo ---; ".join(self._command(privilege) for privilege in Privilege)
        chosen = " ".join(map(str, levels))
        asked = f"for level in {chosen}; do echo $level >{LEVEL_FILE}; {commands}; echo ===; done"
        text = self._guest.as_root(f"{_LOOK_UP}; {asked}")
        rows = text.split("===\n")[:-1]
        return {
            level: {who: _row(row) for who, row in zip(Privilege, part.split("---\n"), strict=True)}
            for level, part in zip(levels, rows, strict=True)
        }

    def ask_all(self) -> dict[Privilege, PerfRow]:
        """The rows of all privileges."""
        commands = "; echo ---; ".join(self._command(privilege) for privilege in Privilege)
        rows = self._guest.as_root(f"{_LOOK_UP}; {commands}").split("---\n")
        return {privilege: _row(text) for privilege, text in zip(Privilege, rows, strict=True)}

    @staticmethod
    def typed(level: int) -> str:
        """Commands with which a reader sets a level and gets all rows."""
        return f"sudo sysctl -w kernel.perf_event_paranoid={level}\n{_TYPED}"

    def ask_logged_in(self) -> PerfRow:
        """The row of the user that runs a test's commands."""
        switch, getppid, _ = self._guest.as_root(f'{_LOOK_UP}; echo "$switch $getppid $user"').split()
        return _row(self._guest.succeed(f"{self._path} -s {switch} -g {getppid} -p {_INIT}"))

    def _command(self, privilege: Privilege) -> str:
        who = {Privilege.NONE: '-u "$user"', Privilege.PERFMON: '-u "$user" -c', Privilege.ROOT: ""}[privilege]
        return f'{self._path} -s "$switch" -g "$getppid" -p {_INIT} {who}'


def _row(text: str) -> PerfRow:
    numbers = {name: int(number) for name, number in (line.split() for line in text.splitlines())}
    return PerfRow(seccomp=numbers.pop("seccomp"), errnos=numbers)
