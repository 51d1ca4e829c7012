# SPDX-License-Identifier: MIT
"""Reports in a kernel log that mean trouble, as records. Pure, quick, and never raises."""

from __future__ import annotations

import hashlib
import heapq
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from vmlab.guest.kernel_log import LogRecord, join_continued
from vmlab.guest.rules import Deny, Rules, known_rules
from vmlab.guest.trace import Frame, blamed_module, frames_of, location_of, process_of, registers_of

_CUT_HERE = "------------[ cut here ]"
_END = re.compile(r"---\[ end (?:trace|Kernel panic)|^={60,}$")
_RULER = re.compile(r"^[=-]{40,}$")
_LONGEST_RECORDS = 160
_PAUSE_S = 2.0
"""A report's lines follow each other at the pace of the serial console: 5 ms each were seen under TCG."""
_PROMISE_RECORDS = 8
"""How many lines may stand between "cut here" and the line that tells what it is."""
_NAMED_FRAMES = 3
_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splat:
    """One report: what it is, whom it blames, and the records it was read from."""

    kind: str
    title: str
    """The line that says what happened."""
    records: tuple[LogRecord, ...]
    is_trouble: bool = True
    """False for a fact that only is to be told, like a taint by an unsigned module."""
    location: str = ""
    """`mm/slub.c:305`, where the kernel names one."""
    module: str = ""
    """The module to blame; empty when none is in the trace."""
    frames: tuple[Frame, ...] = ()
    registers: str = ""
    process: str = ""
    """`insmod[94]`."""
    test: str = ""
    """The test that was running."""

    @property
    def time_s(self) -> float:
        return self.records[0].time_s if self.records else 0.0

    @property
    def fingerprint(self) -> str:
        """Eight digits, the same for each report of one fault: what it is and the innermost functions, or the title
        without its numbers where there is no trace."""
        certain = [f"{frame.name} {frame.module}" for frame in self.frames if not frame.is_guess][:_NAMED_FRAMES]
        words = certain or [_NUMBERS.sub("#", self.title)]
        return hashlib.sha256("\n".join([self.kind, *words]).encode()).hexdigest()[:8]


def find_splats(records: Sequence[LogRecord], rules: Rules | None = None) -> list[Splat]:
    """Every report of trouble in a log, in order; an oops inside a BUG's report is part of that report."""
    return [splat for splat in find_reports(records, rules) if splat.is_trouble]


def find_reports(records: Sequence[LogRecord], rules: Rules | None = None) -> list[Splat]:
    """The same, and the facts that are no trouble."""
    # What programs write to the log is not the kernel's word.
    lines = [record for record in join_continued(records) if record.facility == 0]
    titles = _Titles(lines, (rules or known_rules()).deny)
    reports: list[Splat] = []
    end = 0
    while (found := titles.next_from(end)) is not None:
        position, rule = found
        start = max(_beginning(lines, position), end)
        end = _end_of_report(lines, position) if rule.is_trouble else position + 1
        reports.append(_splat(rule, lines[position].text, lines[start:end]))
    return reports


def describe(splats: Iterable[Splat]) -> str:
    """The reports as they stood in the log, and where in the module's source their frames are."""
    return "\n\n".join(_describe(splat) for splat in splats)


def _describe(splat: Splat) -> str:
    found = [f"  {frame}" for frame in splat.frames if frame.source]
    resolved = ["", f"in the source of {splat.module}:", *found] if found else []
    return "\n".join([*map(str, splat.records), *resolved])


class _Titles:
    """Finds the lines that say what happened. Each rule's literal is searched for in the whole text, as far as the
    search has come: a hundredth of the cost of asking every rule of every line."""

    def __init__(self, lines: Sequence[LogRecord], rules: Sequence[Deny]) -> None:
        self._lines = [_first_line(record.text) for record in lines]
        self._rules = rules
        self._text = "\n" + "\n".join(self._lines) + "\n"
        self._starts = list(accumulate((len(line) + 1 for line in self._lines), initial=1))
        self._literals = sorted({f"\n{rule.literal}" if rule.is_start else rule.literal for rule in rules})
        self._places = [(self._text.find(literal), literal) for literal in self._literals]
        self._places = [place for place in self._places if place[0] >= 0]
        heapq.heapify(self._places)

    def next_from(self, number: int) -> tuple[int, Deny] | None:
        """The first title from a line on, and the first rule that fits it."""
        while self._places and number < len(self._lines):
            place, literal = self._places[0]
            # A line feed before the literal counts to its line.
            found = bisect_right(self._starts, place + 1) - 1
            if found < number:
                later = self._text.find(literal, self._starts[number] - 1)
                if later < 0:
                    heapq.heappop(self._places)
                else:
                    heapq.heapreplace(self._places, (later, literal))
                continue
            line = self._lines[found]
            rule = next((rule for rule in self._rules if rule.literal in line and rule.fits(line)), None)
            if rule is not None:
                return found, rule
            number = found + 1
        return None


def _first_line(text: str) -> str:
    # The first line decides about a record of several: a module's own text behind it makes no report.
    return text.split("\n", 1)[0].strip()


def _beginning(lines: Sequence[LogRecord], position: int) -> int:
    """Where a report begins whose title is at a position: at its "cut here", or the ruler above it."""
    for back in range(position - 1, max(-1, position - 1 - _PROMISE_RECORDS), -1):
        text = lines[back].text
        if text.startswith(_CUT_HERE):
            return back
        if _END.search(text) and not _RULER.match(text):
            break
    return position - 1 if position and _RULER.match(lines[position - 1].text) else position


def _end_of_report(lines: Sequence[LogRecord], start: int) -> int:
    """One past the report's last line: its end mark, where the next report begins, or a pause."""
    limit = min(len(lines), start + _LONGEST_RECORDS)
    has_trace = False
    time_s = lines[start].time_s
    for position in range(start + 1, limit):
        record = lines[position]
        text = record.text
        if ("---" in text or "===" in text) and _END.search(text):
            return position + 1
        if record.time_s - time_s > _PAUSE_S:
            return position
        time_s = record.time_s
        has_trace = has_trace or "Call " in text
        if has_trace and text.startswith(_CUT_HERE):
            return position
    return limit


def _splat(rule: Deny, title: str, lines: Sequence[LogRecord]) -> Splat:
    texts = [record.text for record in lines]
    line = _first_line(title)
    frames = frames_of(texts) if rule.is_trouble else ()
    return Splat(
        kind=rule.kind,
        title=line,
        records=tuple(lines),
        is_trouble=rule.is_trouble,
        location=location_of([line, *texts]),
        module=blamed_module(line, frames),
        frames=frames,
        registers=registers_of(texts),
        process=process_of([line, *texts]),
    )
