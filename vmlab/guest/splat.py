# SPDX-License-Identifier: MIT
"""Reports in a kernel log that mean trouble. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vmlab.guest.kernel_log import LogRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Splat:
    """A report that means trouble: its kind, its first line, and the records that belong to it."""

    kind: str
    title: str
    records: tuple[LogRecord, ...]


# Matched on structure, since the wording drifts between releases: 7.3 puts the processor at the end of a WARNING.
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("panic", r"^Kernel panic - not syncing"),
        ("KASAN", r"^BUG: KASAN: "),
        ("null pointer", r"^BUG: kernel NULL pointer dereference"),
        ("page fault", r"^BUG: unable to handle (?:kernel |page )"),
        ("double fault", r"^PANIC: double fault"),
        ("hard lockup", r"Watchdog detected hard LOCKUP"),
        ("lockdep", r"^INFO: trying to register non-static key"),
        ("soft lockup", r"(?:watchdog: )?BUG: soft lockup"),
        ("scheduling while atomic", r"^BUG: scheduling while atomic"),
        ("sleeping in atomic", r"^BUG: sleeping function called from invalid context"),
        ("BUG", r"^(?:BUG: |kernel BUG at )"),
        ("general protection", r"^(?:general protection fault|stack segment|invalid opcode|divide error)[:, ]"),
        ("oops", r"^(?:Oops: |Internal error: )"),
        ("WARNING", r"^WARNING: "),
        ("UBSAN", r"^UBSAN: "),
        ("RCU stall", r"^rcu: .*(?:stall|starved)"),
        ("hung task", r"^INFO: task .* blocked for more than"),
        ("refcount", r"^refcount_t: "),
        ("list corruption", r"^list_(?:add|del) corruption"),
        ("stack corruption", r"stack-protector: Kernel stack is corrupted"),
        ("bad init", r"init suspiciously returned"),
    )
)
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
_LONGEST_RECORDS = 80


def find_splats(records: Sequence[LogRecord]) -> list[Splat]:
    """Every report of trouble in a log. An oops inside a BUG's report is part of that report."""
    splats: list[Splat] = []
    position = 0
    while position < len(records):
        kind = _kind(records[position].text)
        if kind is None:
            position += 1
            continue
        end = _end_of_report(records, position)
        splats.append(Splat(kind=kind, title=_first_line(records[position].text), records=tuple(records[position:end])))
        position = end
    return splats


def describe(splats: Iterable[Splat]) -> str:
    """The reports as they stood in the log."""
    return "\n\n".join("\n".join(map(str, splat.records)) for splat in splats)


def _kind(text: str) -> str | None:
    # The first line decides; a module's own prefix must not hide a report, nor a quoted word make one.
    line = _first_line(text)
    return next((kind for kind, pattern in _RULES if pattern.search(line)), None)


def _first_line(text: str) -> str:
    return text.split("\n", 1)[0].strip()


def _end_of_report(records: Sequence[LogRecord], start: int) -> int:
    """One past the report's last record: its end mark, else as long as the trace goes on without a pause."""
    limit = min(len(records), start + _LONGEST_RECORDS)
    for position in range(start, limit):
        if _END.search(records[position].text):
            return position + 1
    for position in range(start + 1, limit):
        if records[position].time_s - records[position - 1].time_s > 0.5:
            return position
    return limit
