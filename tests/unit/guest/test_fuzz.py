# SPDX-License-Identifier: MIT
"""Whatever stands in a log, reading it raises nothing, and what is found is whole and in order."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from unit.guest.test_shapes import SHAPES, _console
from vmlab.guest.kernel_log import LogRecord, join_continued, parse_console, parse_kmsg
from vmlab.guest.rules import known_rules
from vmlab.guest.splat import describe, find_reports
from vmlab.machine.console import clean

_KINDS = {rule.kind for rule in known_rules().deny}
_NOISE = st.sampled_from(
    ["\x1b[0;1;31m", "\x1b]0;title\x07", "\0", "\r", "\x1b[", "\ufffd", "\u2028", " " * 300, "[#1]", "\t"]
)
_bytes = st.binary(max_size=400).map(lambda data: data.decode("utf-8", errors="backslashreplace"))
_few = settings(max_examples=60, deadline=None)


def _require_sound(records: list[LogRecord]) -> None:
    reports = find_reports(records)
    last = -1
    for report in reports:
        assert report.records
        assert report.kind in _KINDS
        assert report.title
        assert len(report.fingerprint) == 8
        places = [record.sequence for record in report.records]
        assert places == sorted(places)
        assert places[0] > last
        last = places[-1]
    describe(reports)


@_few
@given(text=_bytes)
def test_any_bytes(text: str) -> None:
    _require_sound(parse_console(clean(text)))
    join_continued(parse_kmsg(text))


@_few
@given(prefix=st.lists(st.integers(min_value=0), min_size=3, max_size=3), flags=_bytes, text=_bytes)
def test_any_record(prefix: list[int], flags: str, text: str) -> None:
    line = f"{','.join(map(str, prefix))},{flags};{text}"
    _require_sound(join_continued(parse_kmsg(f"4,1,1,-;WARNING: \n{line}\n SUBSYSTEM={text}\n")))


@_few
@given(seed=st.integers(), noise=_NOISE, text=st.sampled_from(SHAPES), other=st.sampled_from(SHAPES))
def test_reports_with_lines_lost_repeated_mixed_and_cut(seed: int, noise: str, text: str, other: str) -> None:
    chance = random.Random(seed)
    lines: list[str] = []
    for line in (text + other).splitlines():
        place = chance.randrange(len(line) + 1)
        lines += chance.choice(([], [line], [line, line], [line[:place]], [line[:place] + noise + line[place:]]))
    if seed % 2:
        chance.shuffle(lines)
    _require_sound(parse_console(clean(_console("\n".join(lines)))))


@_few
@given(cut=st.integers(min_value=0, max_value=2000), text=st.sampled_from(SHAPES))
def test_a_log_that_begins_or_ends_in_the_middle(cut: int, text: str) -> None:
    console = _console(text)
    _require_sound(parse_console(console[cut:]))
    _require_sound(parse_console(console[:cut]))
