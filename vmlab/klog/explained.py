# SPDX-License-Identifier: MIT
"""Explanation of a kernel log from another machine: its reports, equal ones once, and what else was in it. Pure."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from vmlab.klog.call_trace import Frame
from vmlab.klog.formats.reader import LogReader
from vmlab.klog.log import LogRecord
from vmlab.klog.rules import Allow, Rules
from vmlab.klog.splat import FLOOD, Search, Splat, sameness, whole

SCHEMA = 1
_MOST_DIFFERENT = 200
"""Maximum of different reports that are explained. Equal ones are counted without end."""
_MOST_EQUAL = 20
"""Maximum of reports with the same title that are read; more are counted."""
_LONGEST_LINE = 300
"""Maximum length of a line of a report that is kept, in characters."""
_RELEASE = re.compile(r"\b(?:Not tainted|Tainted: [A-Z -]{1,64}?) +(?P<release>\d+\.[\w.+~-]{1,64}) #", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """A report that another one caused, such as the panic after an oops."""

    kind: str
    title: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedReport:
    """A report of the kernel, and how often the log has it."""

    kind: str
    title: str
    fingerprint: str
    """Eight digits, the same for all reports of one fault."""
    count: int
    first_line: int
    """Number of its first line in the log; of equal reports the first."""
    last_line: int
    time_s: float | None
    """Seconds since the boot; None if the log has no such time."""
    module: str
    """Module to blame; empty if the trace has none."""
    function: str
    """Innermost function of that module, or else of the processor's position; empty if unknown."""
    source: str
    """Line of that function, `read.c:42`, if a module's debug information was given."""
    location: str
    """Source position that the kernel printed."""
    process: str
    release: str
    """Release of the kernel."""
    frames: tuple[Frame, ...]
    registers: tuple[str, ...]
    text: tuple[str, ...]
    """Lines of the report, without their headers."""
    consequences: tuple[Consequence, ...]
    allowed: str
    """Entry of the user's rules that allows it; empty if none does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line that is worth knowing and no trouble, such as a taint by an unsigned module."""

    kind: str
    title: str
    module: str
    count: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLog:
    """All that is known about a log: the document of `vmlab log --json`."""

    schema: int
    name: str
    is_trouble: bool
    """True if the log has a report that is not allowed, or more reports than were examined."""
    formats: tuple[str, ...]
    lines: int
    kernel_lines: int
    program_lines: int
    other_lines: int
    """Number of lines without a header, in a log whose lines have headers: they are not read."""
    reports: tuple[ExplainedReport, ...]
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    """Sentences about what could not be examined."""


@dataclass(slots=True)
class _Seen:
    splat: Splat
    report: ExplainedReport
    titles: frozenset[str]
    """The `sameness` of its lines."""
    count: int = 1


def explain(
    reader: LogReader, *, name: str, rules: Rules, today: datetime.date
) -> tuple[ExplainedLog, tuple[Splat, ...]]:
    """Read a whole log and explain it. Returns also the splat of each report, with its frames and one record, for
    `with_lines`. `today` decides which entries of the allow list are valid."""
    seen: dict[str, _Seen] = {}
    facts: dict[tuple[str, str], Fact] = {}
    notes: list[str] = []
    left_out = 0
    search = Search(rules, most_equal=_MOST_EQUAL)
    for splat in _found(reader, search):
        if splat.kind == FLOOD:
            notes.append(splat.title)
        elif not splat.is_trouble:
            key = (splat.kind, splat.module)
            known = facts.get(key)
            if known is not None:
                facts[key] = replace(known, count=known.count + 1)
            elif len(facts) < _MOST_DIFFERENT:
                facts[key] = _fact(splat)
        elif (same := seen.get(splat.fingerprint)) is not None:
            same.count += 1
        elif len(seen) < _MOST_DIFFERENT:
            kept = replace(splat, records=splat.records[:1], consequences=())
            report = _report(splat, is_stamped=reader.is_stamped)
            allowed = _allowed(splat, rules, report.release, today)
            titles = frozenset(sameness(record.text) for record in splat.records)
            seen[splat.fingerprint] = _Seen(kept, replace(report, allowed=allowed), titles)
        else:
            left_out += 1
    for title, count in search.skipped.items():
        same = next((each for each in seen.values() if title in each.titles), None)
        if same is not None:
            same.count += count
    if left_out:
        notes.append(f"more than {_MOST_DIFFERENT} different reports: {left_out} are not explained")
    log = ExplainedLog(
        schema=SCHEMA,
        name=name,
        is_trouble=bool(notes) or not all(each.report.allowed for each in seen.values()),
        formats=reader.formats,
        lines=reader.lines,
        kernel_lines=reader.kernel_lines,
        program_lines=reader.program_lines,
        other_lines=reader.other_lines,
        reports=tuple(replace(each.report, count=each.count) for each in seen.values()),
        facts=tuple(facts.values()),
        notes=tuple(notes),
    )
    return log, tuple(each.splat for each in seen.values())


def with_lines(log: ExplainedLog, splats: Iterable[Splat]) -> ExplainedLog:
    """Return an explanation with the source lines of the splats' frames; `splats` are those of its reports."""
    reports = []
    for report, splat in zip(log.reports, splats, strict=True):
        blamed = _blamed(splat)
        reports.append(replace(report, frames=splat.frames, source=blamed.own_source if blamed is not None else ""))
    return replace(log, reports=tuple(reports))


def _found(reader: LogReader, search: Search) -> Iterator[Splat]:
    for records in reader.records():
        yield from search.feed(records)
    yield from search.feed([], is_last=True)


def _report(splat: Splat, *, is_stamped: bool) -> ExplainedReport:
    blamed = _blamed(splat)
    return ExplainedReport(
        kind=splat.kind,
        title=splat.title[:_LONGEST_LINE],
        fingerprint=splat.fingerprint,
        count=1,
        first_line=splat.records[0].sequence,
        last_line=max(record.sequence for record in splat.records),
        time_s=splat.time_s if is_stamped else None,
        module=splat.module,
        function=blamed.name if blamed is not None else "",
        source="",
        location=splat.location,
        process=splat.process,
        release=_release_of(splat.records),
        frames=splat.frames,
        registers=tuple(line[:_LONGEST_LINE] for line in splat.registers.split("\n") if line),
        text=tuple(record.text[:_LONGEST_LINE] for record in splat.records),
        consequences=tuple(
            Consequence(kind=each.kind, title=each.title[:_LONGEST_LINE], line=each.records[0].sequence)
            for each in splat.consequences
        ),
        allowed="",
    )


def _allowed(splat: Splat, rules: Rules, release: str, today: datetime.date) -> str:
    """Valid entry of the allow list that covers a report; each consequence needs one, too."""
    entries = [
        next((entry for entry in rules.allow if not entry.is_expired(today) and _covers(entry, each, release)), None)
        for each in whole(splat)
    ]
    return str(entries[0]) if all(entries) else ""


def _covers(entry: Allow, splat: Splat, release: str) -> bool:
    has_limits = bool(entry.since or entry.until)
    text = "\n".join(record.text for record in splat.records)
    # Without a release it is unknown whether the limits hold.
    return (bool(release) or not has_limits) and entry.covers(splat.kind, text, release)


def _fact(splat: Splat) -> Fact:
    return Fact(
        kind=splat.kind,
        title=splat.title[:_LONGEST_LINE],
        module=splat.module,
        count=1,
        line=splat.records[0].sequence,
    )


def _blamed(splat: Splat) -> Frame | None:
    """Frame of the function to blame: the innermost one of the module, or else the processor's position."""
    own = [frame for frame in splat.frames if frame.module and frame.module == splat.module]
    certain = [frame for frame in own if not frame.is_guess]
    exact = [frame for frame in splat.frames if frame.is_exact]
    return next(iter((*certain, *own, *exact)), None)


def _release_of(records: Iterable[LogRecord]) -> str:
    for record in records:
        match = _RELEASE.search(record.text) if "ainted" in record.text else None
        if match is not None:
            return match["release"]
    return ""
