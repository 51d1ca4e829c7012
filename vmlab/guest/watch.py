# SPDX-License-Identifier: MIT
"""Splats of a guest's kernel during one test, from its log, or from its console if the log cannot be read.

The log is exact: it has levels, sequence numbers and every record. The console's file outlives the guest, but programs
may write between its lines. So the console is used only if the log has a gap or cannot be read.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from vmlab.errors import MachineLost, VmlabError, hides_frames
from vmlab.guest.guest import Guest
from vmlab.klog.findings import Findings, Witness
from vmlab.klog.log import LogRecord, lost_before, parse_console
from vmlab.klog.splat import Splat, find_splats, whole
from vmlab.machine.console import Part

__tracebackhide__ = hides_frames

_PREFIX = "vmlab:"
# A background rmmod may not have made its system call yet. The brackets stop the pattern from matching this shell's
# command line.
_AWAIT_UNLOAD = (
    "i=0; while grep -q ' Unloading ' /proc/modules || pgrep -f '(^|[ /])([r]mmod|[m]odprobe) ' >/dev/null; do "
    "[ $i -lt {times} ] || exit 1; i=$((i + 1)); sleep 0.2; done"
)
_UNLOAD_LOOK_S = 0.2


class KernelWatch:
    """Watches a guest's kernel from `begin` on: one short command there and a longer one at each `end`, over the
    line; together some 70 ms under TCG."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._nonce = secrets.token_hex(4)
        self._name = ""
        self._after = -1
        self._begin: str | None = None
        """Line that marks the start of the test, until it was found in the log."""
        self._console_after = 0
        self.taint = 0

    def begin(self, name: str) -> None:
        """Write a mark for the start of a test to the guest's log; raises `MachineLost` when the guest is gone."""
        # The kernel truncates lines at about 1000 bytes, and the mark must stay complete.
        self._name = name if len(name) <= 200 else f"{name[:199]}…"
        self._begin = self._words("begins")
        self._console_after = self._guest.console.size()
        # A fork's log position and taint are known; a booted guest's log was not read yet.
        log = self._guest.log
        self._after = log.newest if log.newest >= 0 else log.position()
        log.write(self._begin)
        self.taint = log.taint

    def has_news(self) -> bool:
        """True if the console has new kernel lines since the last `end`. Runs no command in the guest."""
        said = self._console_part()
        return bool(said.left_out or self._records(said))

    def await_unload(self) -> None:
        """Wait for a module that is unloaded in the background: splats of its exit function belong to the test that
        started the unload. Costs one command if a module was unloaded, else none.

        Raises `CommandHung`, with the kernel's report on blocked tasks, when the unload times out.
        """
        if not self._guest.has_unloaded:
            return
        self._guest.has_unloaded = False
        limit_s = self._guest.limits.connect_s
        try:
            is_over = self._guest.root(_AWAIT_UNLOAD.format(times=round(limit_s / _UNLOAD_LOOK_S))).ok
        except VmlabError:
            return  # the next read of the log reports a guest that is gone
        if not is_over:
            raise self._guest.hung(f"a module is still being unloaded {limit_s:.0f} s after its test")

    def end(self) -> Findings:
        """Return the findings since `begin`, or since the last `end`. Raises nothing: if the log cannot be read, the
        console is used."""
        words = self._words("ends")
        try:
            read = self._guest.log.after(self._after, mark=words)
        except MachineLost as lost:
            return self._by_console(lost)
        except VmlabError as error:
            return self._by_console(MachineLost(f"the kernel log cannot be read: {error.message}"))
        # Counted before the mark is looked for: a module can print the mark again, after a hole.
        missing = lost_before(read, first=self._after + 1) if self._after >= 0 else 0
        notes = self._find_beginning(read)
        read = [record for record in read if record.sequence > self._after]
        cut = _cut(self._guest.log.left_out, "the kernel log")
        if cut:
            notes.append(cut)
        elif missing:
            notes.append(f"{missing} records of the kernel log were overwritten before they were read")
        if not any(record.text == words for record in reversed(read)):
            notes.append("the line that marks the test's end is not in the kernel log")
        # A mark is a program's record. The kernel's are never dropped, whatever they say.
        records = [record for record in read if record.facility == 0 or not self._guest.log.is_mark(record)]
        splats = find_splats(records, self._guest.rules)
        # The console does not make up for them: a module can keep lines off it.
        unchecked = f"{missing} records of the kernel log are missing" if missing else cut
        if notes:
            said = self._console_part()
            splats = _joined(splats, find_splats(self._records(said), self._guest.rules))
            notes += filter(None, [_cut(said.left_out, "the console")])
        found = self._findings(splats, records, Witness.LOG, notes=tuple(notes), cut=cut, unchecked=unchecked)
        # The next `end` continues from here.
        self._after = self._guest.log.newest
        self._console_after = self._guest.console.size()
        self.taint = self._guest.log.taint
        return found

    def _find_beginning(self, read: Sequence[LogRecord]) -> list[str]:
        """Continue after the mark for the start of the test, once; returns a note if the mark is missing."""
        if self._begin is None:
            return []
        place = next((record.sequence for record in read if record.text == self._begin), None)
        self._begin = None
        if place is None:
            return ["the line that marks the test's start is not in the kernel log"]
        self._after = place
        return []

    def _by_console(self, lost: MachineLost) -> Findings:
        said = self._console_part()
        records = self._records(said)
        cut = _cut(said.left_out, "the console")
        notes = ("the kernel log cannot be read: the findings are from the console", *filter(None, [cut]))
        splats = find_splats(records, self._guest.rules)
        return self._findings(splats, records, Witness.CONSOLE, notes=notes, cut=cut, lost=lost)

    def _findings(
        self,
        splats: Sequence[Splat],
        records: Sequence[LogRecord],
        witness: Witness,
        *,
        notes: tuple[str, ...],
        cut: str,
        unchecked: str = "",
        lost: MachineLost | None = None,
    ) -> Findings:
        return Findings(
            splats=tuple(replace(splat, test=self._name) for splat in splats),
            records=tuple(records),
            taint_before=self.taint,
            taint_after=self.taint if lost else self._guest.log.taint,
            witness=witness,
            notes=notes,
            cut=cut,
            unchecked=unchecked,
            lost=lost,
        )

    def _console_part(self) -> Part:
        return self._guest.console.part(after=self._console_after, until=self._guest.evidence_end)

    def _records(self, said: Part) -> list[LogRecord]:
        return [record for record in parse_console(said.text) if not self._guest.log.is_mark(record)]

    def _words(self, what: str) -> str:
        return f"{_PREFIX} {self._name} {what} {self._nonce}"


def _cut(left_out: int, where: str) -> str:
    return f"{left_out} bytes in the middle of {where} were left out, because there were too many" if left_out else ""


def _joined(first: Sequence[Splat], second: Sequence[Splat]) -> list[Splat]:
    """Merge the splats from the log and the console without duplicates, in order of time; of a duplicate the one with
    more consequences is kept."""
    known = {_key(each) for splat in first for each in whole(splat)}
    seen = {_key(splat): splat.consequences for splat in second}
    followed = {_key(each) for consequences in seen.values() for each in consequences}
    both = [
        replace(splat, consequences=max(splat.consequences, seen.get(_key(splat), ()), key=len))
        for splat in first
        if _key(splat) not in followed
    ]
    return sorted([*both, *(splat for splat in second if _key(splat) not in known)], key=lambda splat: splat.time_s)


def _key(splat: Splat) -> tuple[str, str]:
    return splat.kind, splat.title
