# SPDX-License-Identifier: MIT
"""Equal reports are told once, an allowed one is no trouble, and what was not examined is trouble."""

from __future__ import annotations

import datetime
from dataclasses import replace

import pytest

from unit.klog.test_reports import console
from vmlab.klog.call_trace import Line
from vmlab.klog.explained import ExplainedLog, explain, with_lines
from vmlab.klog.formats.reader import LogReader
from vmlab.klog.rules import Allow, Rules, known_rules
from vmlab.klog.splat import Splat

_TODAY = datetime.date(2026, 12, 1)
_WARNING = "WARNING: CPU: 1 PID: 831 at gauge.c:{0} gauge_read+0x4a/0xb0 [gauge]"
_ENTRY = Allow(
    kind="WARNING",
    text="gauge.c",
    reason="known",
    link="https://example.org/1",
    expires=datetime.date(2027, 1, 1),
    where="known.toml",
)


def _explain(text: str, rules: Rules | None = None) -> tuple[ExplainedLog, tuple[Splat, ...]]:
    return explain(LogReader([text.split("\n")]), name="a.log", rules=rules or known_rules(), today=_TODAY)


def _log(*texts: str, every_s: int = 20) -> str:
    return "".join(f"[{number * every_s:5d}.000000] {text}\n" for number, text in enumerate(texts, 1))


def test_equal_reports_are_told_once_with_their_number() -> None:
    log, splats = _explain(console("warning-6.1") * 3)

    (report,) = log.reports
    assert (report.kind, report.count, len(splats)) == ("WARNING", 3, 1)
    assert (report.module, report.function, report.release) == ("gauge", "gauge_read", "6.1.0-lab")


def test_a_flood_is_counted_to_its_end() -> None:
    log, _ = _explain(_log(*[_WARNING.format(64)] * 5000))

    assert [report.count for report in log.reports] == [5000]
    assert log.notes == ()


def test_reports_that_were_not_examined_are_trouble() -> None:
    log, _ = _explain(_log(*[_WARNING.format(line) for line in range(2000)]))

    assert log.is_trouble
    assert len(log.reports) <= 200
    assert any("were not examined" in note for note in log.notes)


def test_a_different_report_beyond_the_limit_is_counted_in_a_note() -> None:
    log, _ = _explain(_log(*[f"BUG: KASAN: x in read{'_' * n}+0x1/0x2 [gauge]" for n in range(210)]))

    assert len(log.reports) == 200
    assert log.notes == ("more than 200 different reports: 10 are not explained",)


def test_a_log_without_a_report_is_no_trouble() -> None:
    log, _ = _explain(_log("gauge: loading out-of-tree module taints kernel.", "gauge: found"))

    assert not log.is_trouble
    assert [(fact.kind, fact.module, fact.line) for fact in log.facts] == [("taint notice", "gauge", 1)]


@pytest.mark.parametrize(
    ("entry", "is_trouble"),
    [
        (_ENTRY, False),
        (replace(_ENTRY, text="valve.c"), True),
        (replace(_ENTRY, expires=_TODAY), True),
        (replace(_ENTRY, since="5.10", until="6.1"), False),
        (replace(_ENTRY, since="6.2"), True),
    ],
)
def test_a_valid_entry_allows_a_report(entry: Allow, is_trouble: bool) -> None:
    rules = replace(known_rules(), allow=(entry,))

    log, _ = _explain(console("warning-6.1"), rules)

    assert log.is_trouble is is_trouble
    assert log.reports[0].allowed == ("" if is_trouble else str(entry))


def test_an_entry_with_limits_allows_nothing_where_the_release_is_unknown() -> None:
    rules = replace(known_rules(), allow=(replace(_ENTRY, until="6.12"),))

    log, _ = _explain(_log(_WARNING.format(64)), rules)

    assert log.is_trouble


def test_an_entry_for_an_oops_does_not_allow_its_panic() -> None:
    rules = replace(known_rules(), allow=(replace(_ENTRY, kind="null pointer", text="gauge_read"),))

    log, _ = _explain(console("oops-then-panic"), rules)

    assert log.is_trouble
    assert [each.kind for each in log.reports[0].consequences] == ["panic"]


def test_the_line_of_the_blamed_function_is_the_reports_source() -> None:
    log, (splat,) = _explain(console("warning-6.1"))
    known = (Line(file="gauge.c", line=64, function="gauge_read"),)
    frames = tuple(replace(frame, lines=known) if frame.module else frame for frame in splat.frames)

    resolved = with_lines(log, [replace(splat, frames=frames)])

    assert resolved.reports[0].source == "gauge.c:64"
    assert resolved.reports[0].frames == frames


@pytest.mark.parametrize(
    ("line", "release"),
    [
        ("CPU: 1 PID: 1 Comm: a Not tainted 6.1.0-lab #1", "6.1.0-lab"),
        ("CPU: 1 UID: 0 PID: 1 Comm: a Tainted: G        W  OE       7.3.2-lab #1 PREEMPT(lazy)", "7.3.2-lab"),
        (
            "CPU: 3 PID: 1 Comm: a Kdump: loaded Tainted: G  OE    ------  ---  5.14.0-687.el9.x86_64 #1",
            "5.14.0-687.el9.x86_64",
        ),
        ("CPU: 1 PID: 1 Comm: a", ""),
    ],
)
def test_the_release_is_read_behind_the_taint(line: str, release: str) -> None:
    log, _ = _explain(_log("BUG: KASAN: x in a+0x1/0x2 [b]", line, every_s=1))

    assert log.reports[0].release == release


@pytest.mark.parametrize(
    ("name", "module", "function"),
    [
        ("kasan-use-after-free-7.3", "gauge", "gauge_read"),
        ("warning-in-kernel-6.1", "gauge", "gauge_resize"),
        ("hung-task", "gauge", "gauge_write"),
        ("page-fault-unloaded", "", ""),
        ("kmemleak", "", ""),
    ],
)
def test_the_blamed_function_is_the_innermost_of_the_module(name: str, module: str, function: str) -> None:
    log, _ = _explain(console(name))

    assert (log.reports[0].module, log.reports[0].function) == (module, function)


def test_without_a_module_the_function_is_that_of_the_processor() -> None:
    log, _ = _explain(console("null-pointer-6.1").replace(" [gauge]", ""))

    assert (log.reports[0].module, log.reports[0].function) == ("", "gauge_read")
