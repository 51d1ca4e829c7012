# SPDX-License-Identifier: MIT
"""Parsing never raises, whatever the log contains, and the found reports are complete and in order."""

from __future__ import annotations

import random
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from unit.klog.test_reports import DIRECTORY, console
from unit.klog.test_shapes import SHAPES, _console
from vmlab.klog.log import LogRecord, join_continued, parse_console, parse_kmsg
from vmlab.klog.rules import Deny, Rules, known_rules
from vmlab.klog.splat import describe, find_reports
from vmlab.machine.console import clean

_KINDS = {rule.kind for rule in known_rules().deny}
_NOISE = st.sampled_from(
    ["\x1b[0;1;31m", "\x1b]0;title\x07", "\0", "\r", "\x1b[", "\ufffd", "\u2028", " " * 300, "[#1]", "\t"]
)
_bytes = st.binary(max_size=400).map(lambda data: data.decode("utf-8", errors="backslashreplace"))
_files = st.sampled_from(sorted(path.stem for path in DIRECTORY.iterdir()))
_few = settings(max_examples=60)


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


@_few
@given(seed=st.integers(), names=st.lists(_files, min_size=1, max_size=3), noise=_NOISE)
def test_whole_consoles_mixed_with_each_other(seed: int, names: list[str], noise: str) -> None:
    chance = random.Random(seed)
    columns = [console(name).splitlines() for name in names]
    lines: list[str] = []
    while any(columns):
        column = chance.choice([column for column in columns if column])
        lines += [noise + column.pop(0) if chance.random() < 0.1 else column.pop(0)]
    _require_sound(parse_console(clean("\n".join(lines))))


@_few
@given(
    times=st.lists(st.integers(min_value=0) | st.sampled_from([0, 10**9, 10**20 - 1, 10**40]), min_size=1, max_size=20),
    name=_files,
)
def test_times_and_numbers_of_any_size(times: list[int], name: str) -> None:
    texts = [line.partition("] ")[2] for line in console(name).splitlines()]
    stamped = [f"[{times[n % len(times)]}.{times[n % len(times)] % 10**6:06d}] {text}" for n, text in enumerate(texts)]
    _require_sound(parse_console("\n".join(stamped)))
    numbered = [f"{4 + n % 2 * 8},{n},{times[n % len(times)]},{'c-'[n % 3 > 0]};{text}" for n, text in enumerate(texts)]
    join_continued(parse_kmsg("\n".join(numbered)))
    grown = [re.sub(r"\d+", lambda match: match[0] * 40, text) for text in texts]
    _require_sound(parse_console(_console("\n".join(grown))))


_words = st.text(alphabet="ab[", min_size=1, max_size=3)
_rules = st.builds(
    Deny,
    kind=_words,
    literal=_words,
    is_start=st.booleans(),
    pattern=st.sampled_from([None, re.compile("a$"), re.compile("^b")]),
    is_trouble=st.just(False),
)


@_few
@given(rules=st.lists(_rules, max_size=8), texts=st.lists(st.text(alphabet="ab[ ", max_size=6), max_size=12))
def test_what_is_found_is_what_asking_every_rule_of_every_line_finds(rules: list[Deny], texts: list[str]) -> None:
    records = [LogRecord(sequence=n, level=4, time_s=float(n), text=text) for n, text in enumerate(texts)]
    fitting = [next((rule for rule in rules if rule.literal in text and rule.fits(text)), None) for text in texts]
    expected = [(number, rule.kind) for number, rule in enumerate(fitting) if rule is not None]
    found = find_reports(records, Rules(deny=tuple(rules)))
    assert [(report.records[-1].sequence, report.kind) for report in found] == expected
