# SPDX-License-Identifier: MIT
"""Search for splats in a kernel log. Pure, fast, and never raises."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from vmlab.klog.call_trace import Frame, blamed_module, frames_of, location_of, process_of, registers_of
from vmlab.klog.extent import (
    GAP_RECORDS,
    LONGEST_RECORDS,
    MESSAGE_RECORDS,
    PROMISE_RECORDS,
    beginning,
    end_of_report,
    has_trace,
)
from vmlab.klog.log import LogRecord, join_continued
from vmlab.klog.rules import Deny, Rules, known_rules
from vmlab.klog.titles import find_titles

_CONSEQUENCE_S = 10.0
"""Maximum seconds from a splat's last line to a panic that it causes; the kernel stops other processors first."""
_MOST_REPORTS = 1000
"""Maximum of reports that are examined: each costs up to some milliseconds, and a log may have a million."""
_MOST_CONSEQUENCES = 16
"""Maximum of consequences of one splat: an oops causes one panic. Others are separate splats."""
_DESCRIBED = 20
"""Maximum of splats that are printed: a module that warns in a loop prints the same one thousands of times."""
FLOOD = "flood"
"""Kind of the splat that stands for reports that were not examined. No rule allows it, so the test fails."""
_SAME = re.compile(r"\b(?:CPU: |PID: |CPU#)\d+|0x[0-9a-f]+|\b[0-9a-f]{8,}\b")
"""Pattern of what differs in the titles of equal reports."""
_NAMED_FRAMES = 3
_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
_AHEAD = LONGEST_RECORDS + GAP_RECORDS
"""Number of records below a title that decide where its report ends."""
_REGISTERS_SHOWN = ("RIP: ", "EIP: ", "pc : ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Splat:
    """A splat: its kind, the module to blame, and its records."""

    kind: str
    title: str
    """Line that says what happened."""
    records: tuple[LogRecord, ...]
    is_trouble: bool = True
    """True for a splat, False for a report that is only information, like a taint by an unsigned module."""
    location: str = ""
    """Source position, `mm/slub.c:305`, if the kernel prints one."""
    module: str = ""
    """Module to blame; empty when the trace has none."""
    frames: tuple[Frame, ...] = ()
    registers: str = ""
    process: str = ""
    """Process, as `insmod[94]`."""
    test: str = ""
    """Name of the test that was running."""
    consequences: tuple[Splat, ...] = ()
    """Splats that it caused, like the panic after an oops."""

    @property
    def time_s(self) -> float:
        return self.records[0].time_s if self.records else 0.0

    @property
    def fingerprint(self) -> str:
        """Eight digits, the same for all splats of one fault. They are a digest of the kind, the processor's position
        and the module's innermost functions, or else the kernel's functions and the title without numbers."""
        certain = [frame for frame in self.frames if not frame.is_guess]
        exact = [frame for frame in certain if frame.is_exact]
        inner = [number for number, frame in enumerate(certain) if frame.module and frame.module == self.module]
        # Inner frames are the same for all faults of a kind: dump_stack, panic, kasan_report, an interrupt.
        start = inner[0] if inner else certain.index(exact[0]) if exact else 0
        words = [f"{frame.name} {frame.module}" for frame in (*exact, *certain[start : start + _NAMED_FRAMES])]
        if not inner and not exact:
            words.append(_NUMBERS.sub("#", self.title))
        return hashlib.sha256("\n".join([self.kind, *words]).encode()).hexdigest()[:8]


def find_splats(records: Sequence[LogRecord], rules: Rules | None = None) -> list[Splat]:
    """Find all splats in a log, in order; an oops within a BUG's report is part of it."""
    return [splat for splat in find_reports(records, rules) if splat.is_trouble]


def find_reports(records: Sequence[LogRecord], rules: Rules | None = None) -> list[Splat]:
    """Find all splats, and the reports that are only information."""
    search = Search(rules)
    return [*search.feed(records, is_last=True)]


class Search:
    """A search in a log that comes in parts. It keeps the records that a report may still need, and the last splat,
    which may have consequences."""

    def __init__(self, rules: Rules | None = None, *, most_equal: int | None = None) -> None:
        """Search by `rules`. Of reports with the same title at most `most_equal` are read, others are only counted: a
        log may have one warning a million times before the panic."""
        self._rules = (rules or known_rules()).deny
        self._most_equal = most_equal
        self._equal: dict[str, int] = {}
        self._kept: list[LogRecord] = []
        self._held: list[Splat] = []
        """Reports that are not given out yet: the last splat, and the facts after it."""
        self._told: set[str] = set()
        self._count = 0
        self._facts = 0
        self._left_out = 0
        self._first_left_out: LogRecord | None = None

    def feed(self, records: Sequence[LogRecord], *, is_last: bool = False) -> Iterator[Splat]:
        """Search the next part of the log. Yields reports in their order, each once all of it was seen."""
        # Ignore records that programs wrote.
        lines = [record for record in join_continued([*self._kept, *records]) if record.facility == 0]
        # Of a record with several lines only the first counts: a module's text after it is not a splat.
        texts = [record.text for record in lines]
        whole = "\n".join(texts)
        if whole.count("\n") >= len(texts):
            texts = [text.split("\n", 1)[0] for text in texts]
        titles = find_titles(texts, whole, self._rules)
        seen = len(lines) if is_last else len(lines) - _AHEAD
        end = 0
        for position, rule in titles.items():
            if position >= seen:
                break
            if position < end or (rule.needs_trace and not has_trace(lines, texts, position, titles)):
                continue
            if (self._count if rule.is_trouble else self._facts) >= _MOST_REPORTS:
                self._left_out += rule.is_trouble
                self._first_left_out = self._first_left_out or lines[position]
                continue
            start = max(beginning(texts, position), end)
            end = end_of_report(lines, texts, position, titles) if rule.is_trouble else position + 1
            if rule.is_trouble and self._is_flood(texts[position]):
                continue
            title, rule = _cause(lines, texts, range(position, end), titles)
            if not (rule.is_once and _is_told(title, rule, self._told)):
                yield from self._add(_splat(rule, title, lines[start:end]), rule)
        self._kept = lines[max(end, seen - PROMISE_RECORDS, 0) :]
        if is_last:
            yield from self._held
            if self._first_left_out is not None and self._left_out:
                yield _flood(self._left_out, self._first_left_out)

    def _add(self, splat: Splat, rule: Deny) -> Iterator[Splat]:
        """Hold a report back. Yields those that were held before, if they cannot change any more."""
        if rule.follows and self._held and _is_consequence(self._held[0], splat, rule):
            self._held[0] = replace(self._held[0], consequences=(*self._held[0].consequences, splat))
            return
        self._count += splat.is_trouble
        self._facts += not splat.is_trouble
        if splat.is_trouble:
            yield from self._held
            self._held = [splat]
        elif self._held:
            self._held.append(splat)
        else:
            yield splat

    @property
    def skipped(self) -> dict[str, int]:
        """Numbers of reports that were not read, by the `sameness` of their titles."""
        most = self._most_equal or 0
        return {title: count - most for title, count in self._equal.items() if count > most}

    def _is_flood(self, title: str) -> bool:
        """True for a report whose title was read often enough."""
        same = sameness(title)
        if self._most_equal is None or (same not in self._equal and len(self._equal) >= _MOST_REPORTS):
            return False
        self._equal[same] = self._equal.get(same, 0) + 1
        return self._equal[same] > self._most_equal


def sameness(title: str) -> str:
    """Title without addresses, processors and process ids."""
    return _SAME.sub("#", title)


def _flood(count: int, first: LogRecord) -> Splat:
    title = f"more than {_MOST_REPORTS} kernel reports: {count} lines that may be reports were not examined"
    return Splat(kind=FLOOD, title=title, records=(first,))


def whole(splat: Splat) -> tuple[Splat, ...]:
    """A splat and its consequences."""
    return (splat, *splat.consequences)


def describe(splats: Iterable[Splat]) -> str:
    """Format splats as in the log, with the source lines of their frames; of many only the first."""
    every = [each for splat in splats for each in whole(splat)]
    more = [f"… and {len(every) - _DESCRIBED} more kernel reports"] if len(every) > _DESCRIBED else []
    return "\n\n".join([*map(_describe, every[:_DESCRIBED]), *more])


def _describe(splat: Splat) -> str:
    found = [line for frame in splat.frames if frame.source for line in _resolved(frame)]
    resolved = ["", f"in the source of {splat.module}:", *found] if found else []
    return "\n".join([*map(str, splat.records), *resolved])


def _resolved(frame: Frame) -> list[str]:
    inlined = frame.lines if len(frame.lines) > 1 else ()
    return [f"  {frame}", *(f"    {line.function or 'inlined'}  {line}" for line in inlined)]


def _cause(
    lines: Sequence[LogRecord], texts: Sequence[str], places: range, titles: Mapping[int, Deny]
) -> tuple[str, Deny]:
    """Title and rule of a splat: those of the message below a WARNING, if there is one."""
    start = places[0]
    below = places[1 : 1 + MESSAGE_RECORDS] if titles[start].kind == "WARNING" else ()
    place = next((number for number in below if number in titles and titles[number].is_message), start)
    title = texts[place].strip()
    if title.endswith(":") and "panicked at " in title:
        # Since Rust 1.73 the message is on a separate line, which is a separate record on a console.
        behind = [*lines[place].text.split("\n")[1:], *texts[place + 1 : places.stop]]
        title = f"{title} {behind[0].strip()}" if behind and not behind[0].startswith("---") else title
    return title, titles[place]


def _is_told(title: str, rule: Deny, told: set[str]) -> bool:
    """True if the kernel already reported the same fault; remembers it otherwise."""
    match = rule.pattern.search(title) if rule.pattern is not None else None
    key = f"{rule.kind}\n{match[0] if match is not None else title}"
    if key in told:
        return True
    told.add(key)
    return False


def _is_consequence(cause: Splat, splat: Splat, rule: Deny) -> bool:
    """True if a splat is a consequence of the one before it."""
    before = whole(cause)
    if len(before) > _MOST_CONSEQUENCES:
        return False
    if splat.time_s - before[-1].records[-1].time_s > _CONSEQUENCE_S:
        return False
    if "*" not in rule.follows and not any(each.kind in rule.follows for each in before):
        return False
    if rule.follows_process is not None:
        return any(each.process.endswith(f"[{rule.follows_process}]") for each in before)
    if rule.kind == "panic":
        return True
    # A sanitizer reports an access, and then the processor faults on it.
    exact = next((frame for frame in splat.frames if frame.is_exact), None)
    return exact is not None and splat.process == cause.process and f" in {exact.function}+" in cause.title


def _splat(rule: Deny, title: str, lines: Sequence[LogRecord]) -> Splat:
    text = "\n".join(record.text for record in lines)
    texts = text.split("\n")
    frames = frames_of(texts) if rule.is_trouble and "+0x" in text else ()
    return Splat(
        kind=rule.kind,
        title=title,
        records=tuple(lines),
        is_trouble=rule.is_trouble,
        location=location_of([title, *texts]),
        module=blamed_module(title, frames),
        frames=frames,
        registers=registers_of(texts) if any(word in text for word in _REGISTERS_SHOWN) else "",
        process=process_of([title, *texts]),
    )
