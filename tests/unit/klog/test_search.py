# SPDX-License-Identifier: MIT
"""A search in parts finds what a search in the whole log finds, and a flood hides no other report."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unit.klog.test_reports import DIRECTORY, console
from vmlab.klog.log import LogRecord, parse_console
from vmlab.klog.splat import FLOOD, Search, Splat, find_reports, sameness

_NAMES = sorted(path.stem for path in DIRECTORY.iterdir())
_WARNING = "WARNING: CPU: 1 PID: {0} at gauge.c:64 gauge_read+0x4a/0xb0 [gauge]"


def _several(names: list[str]) -> list[LogRecord]:
    text = "".join(console(name) for name in names)
    return [
        LogRecord(sequence=number, level=4, time_s=record.time_s, text=record.text, caller=record.caller)
        for number, record in enumerate(parse_console(text))
    ]


def _in_parts(records: list[LogRecord], size: int) -> list[Splat]:
    search = Search()
    found = [splat for start in range(0, len(records), size) for splat in search.feed(records[start : start + size])]
    return [*found, *search.feed([], is_last=True)]


def _every(*texts: str) -> list[LogRecord]:
    return [LogRecord(sequence=number, level=4, time_s=20.0 * number, text=text) for number, text in enumerate(texts)]


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.sampled_from(_NAMES), min_size=1, max_size=6), size=st.integers(min_value=1, max_value=400))
def test_a_log_in_parts_has_the_same_reports(names: list[str], size: int) -> None:
    records = _several(names)

    assert _in_parts(records, size) == find_reports(records)


def test_a_consequence_in_a_later_part_belongs_to_its_cause() -> None:
    records = parse_console(console("oops-then-panic"))

    (splat,) = _in_parts(records, 1)

    assert [each.kind for each in splat.consequences] == ["panic"]


@pytest.mark.parametrize("most_equal", [None, 20])
def test_a_thousand_notices_hide_no_report(most_equal: int | None) -> None:
    notices = [f"m{number}: loading out-of-tree module taints kernel." for number in range(3000)]
    search = Search(most_equal=most_equal)

    found = [*search.feed(_every(*notices, _WARNING.format(1)), is_last=True)]

    assert [splat.kind for splat in found if splat.is_trouble] == ["WARNING"]


def test_a_flood_of_one_warning_does_not_hide_the_panic_after_it() -> None:
    warnings = [_WARNING.format(number) for number in range(3000)]
    search = Search(most_equal=20)

    found = [*search.feed(_every(*warnings, "Kernel panic - not syncing: out of water"), is_last=True)]

    assert [splat.kind for splat in found] == ["WARNING"] * 20 + ["panic"]
    assert search.skipped == {sameness(warnings[0]): 2980}


def test_a_flood_of_different_warnings_is_reported_as_one() -> None:
    warnings = [f"WARNING: CPU: 1 PID: 1 at gauge.c:{number} gauge_read+0x4a/0xb0 [gauge]" for number in range(1500)]
    search = Search(most_equal=20)

    found = [*search.feed(_every(*warnings), is_last=True)]

    assert len(found) == 1001
    assert found[-1].kind == FLOOD
    assert "500 lines that may be reports were not examined" in found[-1].title


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        (_WARNING.format(1), _WARNING.format(77), True),
        ("BUG: KASAN: x in a+0x1/0x2 [b]", "BUG: KASAN: x in a+0x7/0x9 [b]", True),
        ("BUG: KASAN: x in read1+0x1/0x2 [b]", "BUG: KASAN: x in read2+0x1/0x2 [b]", False),
        ("WARNING: gauge.c:64 at x", "WARNING: gauge.c:65 at x", False),
    ],
)
def test_titles_are_the_same_but_for_addresses_and_processes(one: str, other: str, are_same: bool) -> None:
    assert (sameness(one) == sameness(other)) is are_same
