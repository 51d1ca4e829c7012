# SPDX-License-Identifier: MIT
"""Search for splats in a kernel log. Pure, fast, and never raises."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from vmlab.klog.call_trace import REGISTERS, Frame, blamed_module, frames_of, location_of, process_of, registers_of
from vmlab.klog.log import LogRecord, join_continued
from vmlab.klog.rules import Deny, Rules, known_rules

_CUT_HERE = "------------[ cut here ]"
_END_MARK = re.compile(r"---\[ end (?:trace|Kernel panic)")
# Rulers above a title have at least 25 signs (lockdep), up to 77 (SLUB). Rulers below a splat have 53 (KMSAN), 66
# (KASAN, KFENCE, KCSAN) or 80 (UBSAN before it had "cut here").
_RULER = re.compile(r"={25,}$")
_LAST_RULER = re.compile(r"={53,}$")
_LONGEST_RECORDS = 160
_PAUSE_S = 2.0
"""Maximum pause between a splat's lines, in seconds: the serial console took 5 ms per line under TCG."""
_PROMISE_RECORDS = 8
"""Maximum of lines between "cut here" and the title."""
_GAP_RECORDS = 16
"""Maximum of ordinary lines between two lines of a splat."""
_MESSAGE_RECORDS = 3
"""Maximum of lines from a WARN()'s position down to its message; most architectures print the message above."""
_CONSEQUENCE_S = 10.0
"""Maximum seconds from a splat's last line to a panic that it causes; the kernel stops other processors first."""
# Starts of lines that only a splat has; so is a line with a function's offset.
_OF_A_REPORT = re.compile(
    rf"\s|{REGISTERS}|(?P<trace>Call )|CPU: |Modules linked in: |Hardware name: |Tainted: |NMI backtrace |Sending NMI "
    r"|task:|rcu: |Workqueue: |workqueue |pool |FIX |Object |Redzone |Padding |Bytes b4 |kobject: "
    r"|ref_tracker: |leaked reference\."
)
_TRACE_BEGINS = re.compile(r"\s*(?:Call [Tt]race:|stack backtrace:|CPU: \d+ .*\bPID: \d+ Comm: )")
"""Pattern for the first line of a trace, or the line with the taint above it."""
_OOPS_NUMBER = re.compile(r"\[#\d+\]")
_EVIDENCE = ("Call ", "stack backtrace:", " Comm: ", "[#", _CUT_HERE)
"""Words of which a log with a call trace contains at least one."""
# Lines between a title and its trace: the line with an oops's number, or the WARNING or BUG after the message of a
# check.
_GOES_ON = re.compile(r"\[#\d+\]|^(?:Oops|Internal error|kernel BUG at |WARNING: .*\bat )")
_MOST_REPORTS = 1000
"""Maximum of reports that are examined: each costs up to some milliseconds, and a log may have a million."""
_MOST_CONSEQUENCES = 16
"""Maximum of consequences of one splat: an oops causes one panic. Others are separate splats."""
_DESCRIBED = 20
"""Maximum of splats that are printed: a module that warns in a loop prints the same one thousands of times."""
FLOOD = "flood"
"""Kind of the splat that stands for reports that were not examined. No rule allows it, so the test fails."""
_NAMED_FRAMES = 3
_NUMBERS = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")


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
    # Ignore records that programs wrote.
    lines = [record for record in join_continued(records) if record.facility == 0]
    # Of a record with several lines only the first counts: a module's text after it is not a splat.
    texts = [record.text for record in lines]
    whole = "\n".join(texts)
    if whole.count("\n") >= len(texts):
        texts = [text.split("\n", 1)[0] for text in texts]
    titles = _titles(texts, whole, (rules or known_rules()).deny)
    reports: list[Splat] = []
    told: set[str] = set()
    end = 0
    cause: int | None = None
    for number, (position, rule) in enumerate(titles.items()):
        if position < end or (rule.needs_trace and not _has_trace(lines, texts, position, titles)):
            continue
        if len(reports) >= _MOST_REPORTS:
            left = [titles[place].is_trouble for place in list(titles)[number:]]
            return [*reports, _flood(sum(left), lines[position])] if any(left) else reports
        start = max(_beginning(texts, position), end)
        end = _end_of_report(lines, texts, position, titles) if rule.is_trouble else position + 1
        title, rule = _cause(lines, texts, range(position, end), titles)
        if rule.is_once and _is_told(title, rule, told):
            continue
        splat = _splat(rule, title, lines[start:end])
        if rule.follows and cause is not None and _is_consequence(reports[cause], splat, rule):
            reports[cause] = replace(reports[cause], consequences=(*reports[cause].consequences, splat))
        else:
            cause = len(reports) if splat.is_trouble else cause
            reports.append(splat)
    return reports


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


def _titles(texts: Sequence[str], whole: str, rules: Sequence[Deny]) -> dict[int, Deny]:
    """Find the title lines, in order, and for each the first rule that matches it.

    One regular expression selects the candidates: a tenth of the cost of matching every rule on every line.
    """
    has_traces = any(word in whole for word in _EVIDENCE)
    able_here = [rule for rule in rules if has_traces or not rule.needs_trace]
    present = [rule for rule in able_here if rule.is_start or rule.literal in whole]
    inside = [rule for rule in present if not rule.is_start]
    literals = {rule.literal: None for rule in present if rule.is_start}
    # Drop literals that another literal is a prefix of: fewer alternatives are faster.
    starts = [text for text in literals if not any(text[:size] in literals for size in range(1, len(text)))]
    begins = re.compile("|".join(map(re.escape, starts)) or r"(?!)").match
    able = {
        start: [rule for rule in present if not rule.is_start or rule.literal.startswith(start)] for start in starts
    }
    sure = {start: rules[0] for start, rules in able.items() if rules[0].literal == start and rules[0].pattern is None}
    # Cached, because a flooded log repeats the same line.
    remembered = functools.cache(lambda start, text: _first_fitting(able[start], text))
    found = {
        number: rule
        for number, text in enumerate(texts)
        if (match := begins(text)) is not None
        and (rule := sure.get(match[0]) or remembered(match[0], text)) is not None
    }
    if not inside:
        return found
    for rule in inside:
        for number in [number for number, text in enumerate(texts) if rule.literal in text]:
            fitting = None if number in found else _first_fitting(inside, texts[number])
            if fitting is not None:
                found[number] = fitting
    return dict(sorted(found.items(), key=itemgetter(0)))


def _first_fitting(rules: Iterable[Deny], text: str) -> Deny | None:
    return next((rule for rule in rules if (rule.is_start or rule.literal in text) and rule.fits(text)), None)


def _beginning(texts: Sequence[str], position: int) -> int:
    """Index of the splat's first line, given the index of its title: its "cut here", or the ruler above it."""
    for back in range(position - 1, max(-1, position - 1 - _PROMISE_RECORDS), -1):
        if texts[back].startswith(_CUT_HERE):
            return back
        if "---" in texts[back] and _END_MARK.search(texts[back]):
            break
    return position - 1 if position and _RULER.match(texts[position - 1]) else position


def _has_trace(lines: Sequence[LogRecord], texts: Sequence[str], start: int, titles: Mapping[int, Deny]) -> bool:
    """True if a line that any driver may print has a call trace below it, before another splat starts."""
    if start and texts[start - 1].startswith(_CUT_HERE):
        return True
    for position in range(start + 1, min(len(lines), start + 1 + _GAP_RECORDS)):
        text = texts[position]
        if lines[position].time_s - lines[position - 1].time_s > _PAUSE_S or text.startswith("sysrq: "):
            return False
        other = _other(titles, start, position)
        if other is not None and other.is_trouble:
            # The oops that follows a BUG has a number.
            return titles[start].kind != "WARNING" and _OOPS_NUMBER.search(text) is not None
        callers = {lines[start].caller, lines[position].caller} - {""}
        if len(callers) < 2 and _TRACE_BEGINS.match(text):
            return True
    return False


def _other(titles: Mapping[int, Deny], start: int, position: int) -> Deny | None:
    """Rule of another title below one at `start`. A user's rule does not cut a splat that vmlab's rules recognize."""
    rule = titles.get(position)
    return None if rule is not None and rule.is_users and not titles[start].is_users else rule


def _cause(
    lines: Sequence[LogRecord], texts: Sequence[str], places: range, titles: Mapping[int, Deny]
) -> tuple[str, Deny]:
    """Title and rule of a splat: those of the message below a WARNING, if there is one."""
    start = places[0]
    below = places[1 : 1 + _MESSAGE_RECORDS] if titles[start].kind == "WARNING" else ()
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


def _end_of_report(lines: Sequence[LogRecord], texts: Sequence[str], start: int, titles: Mapping[int, Deny]) -> int:
    """Index after the splat's last line: its end mark, or the last line before another splat, a pause or many ordinary
    lines."""
    has_trace = False
    is_users = titles[start].is_users
    time_s = lines[start].time_s
    end = start + 1
    for position in range(end, min(len(lines), start + _LONGEST_RECORDS)):
        text = texts[position]
        if lines[position].time_s - time_s > _PAUSE_S or position - end >= _GAP_RECORDS:
            return end
        time_s = lines[position].time_s
        other = _other(titles, start, position)
        if other is not None and other.needs_trace:
            # A line of another process between a splat's lines is not a splat, unless a trace follows it.
            other = other if (has_trace or is_users) and _has_trace(lines, texts, position, titles) else None
        if other is not None and other.is_trouble:
            is_message = other.is_message and titles[start].kind == "WARNING" and position - start <= _MESSAGE_RECORDS
            is_vmlabs = is_users and not other.is_users
            if has_trace or is_vmlabs or not (is_message or other is titles[start] or _GOES_ON.search(text)):
                return max(start + 1, min(end, _beginning(texts, position)))
            end = position + 1
        elif "+0x" in text:
            end = position + 1
        elif (evidence := _OF_A_REPORT.match(text)) is not None:
            has_trace = has_trace or evidence["trace"] is not None
            end = position + 1
        elif "---" in text:
            if _END_MARK.search(text):
                return position + 1
            if has_trace and text.startswith(_CUT_HERE):
                return end
        elif text.startswith("===") and _LAST_RULER.match(text):
            return end if position + 1 in titles else position + 1
    return end


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
        registers=registers_of(texts) if "RIP: " in text or "pc : " in text else "",
        process=process_of([title, *texts]),
    )
