# SPDX-License-Identifier: MIT
"""The table shows per kernel the passed tests, the failures, and their reasons."""

from __future__ import annotations

import pytest

from vmlab.lab.facts import TargetFacts
from vmlab.report.model import Outcome, RunResult, TargetResult, TestResult
from vmlab.report.terminal import reasons, render

from .results import facts, row, run

_GOOD = ("fib::read", Outcome.PASSED, "")
_SKIP = ("fib::slow", Outcome.SKIPPED, "not here")


def _lines(result: RunResult, *, width: int = 170) -> list[str]:
    return [line.rstrip() for line in render(result, width=width, color=False).splitlines()]


def test_a_green_row_has_every_column() -> None:
    head, line = _lines(run(row(_GOOD, _SKIP, known=facts())))
    assert " ".join(head.split()) == "target kernel compiler accel image boot fork build passed failed skipped time"
    assert "  ".join(line.split()) == (
        "debian12-6.1  6.1.0-56-cloud-amd64  gcc-12  12.2.0  tcg  cached  41  s  0.8  s  1.5  s  host  1  0  1  1.0  s"
    )


def test_a_cached_build_says_so() -> None:
    assert " cached  " in _lines(run(row(_GOOD, known=facts(build_is_cached=True))))[1].replace("cached", "", 1)


def test_a_target_that_never_came_up_has_a_row_too() -> None:
    lines = _lines(run(row(("fib::read", Outcome.ERROR, "no space left"))))
    assert lines[1].split()[:7] == ["debian12-6.1", *["-"] * 6]
    assert "no space left" in lines[2]


@pytest.mark.parametrize("known", [None, facts()])
def test_a_target_that_was_unavailable_is_loud_with_its_reason(known: TargetFacts | None) -> None:
    tests = [(f"fib::{number}", Outcome.UNAVAILABLE, "no package linux-image-6.1") for number in range(7)]
    result = run(row(*tests, _SKIP, known=known))

    lines = _lines(result)

    assert lines[2] == "debian12-6.1: UNAVAILABLE: no package linux-image-6.1  [fib::0 and 6 more]"
    assert "0 +7 unavailable" in lines[1]
    assert (lines[1].split()[1] == "unavailable") == (known is None)
    assert render(result, width=170, color=True).count("\x1b[31m") > 1


@pytest.mark.parametrize("outcome", [Outcome.ERROR, Outcome.UNAVAILABLE])
def test_a_reason_that_begins_with_the_target_does_not_name_it_twice(outcome: Outcome) -> None:
    reason = "debian12-6.1: making the image of 6.1.0-56-cloud-amd64: no space left on device"

    (line,) = reasons(row(("a", outcome, reason)))

    assert line.count("debian12-6.1") == 1


def test_a_target_with_one_test_that_had_what_it_needs_is_not_unavailable() -> None:
    lines = _lines(run(row(_GOOD, ("fib::big", Outcome.UNAVAILABLE, "no memory"), known=facts())))
    assert lines[2] == "debian12-6.1: no memory  [fib::big]"


def test_a_red_row_is_red_and_a_green_one_is_not() -> None:
    red = render(run(row(("fib::read", Outcome.FAILED, "wrong"), known=facts())), width=170, color=True)
    green = render(run(row(_GOOD, known=facts())), width=170, color=True)
    assert "\x1b[31m" in red
    assert "\x1b[31m" not in green
    assert "\x1b" not in render(run(row(_GOOD, known=facts())), width=170, color=False)


@pytest.mark.parametrize("tests", [(_SKIP,), (_SKIP, _SKIP), ()])
def test_a_target_on_which_nothing_passed_is_not_green(tests: tuple[tuple[str, Outcome, str], ...]) -> None:
    assert not row(*tests).is_green


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome not in ("passed", "skipped")])
def test_one_fault_beside_a_pass_is_not_green(outcome: Outcome) -> None:
    assert not row(_GOOD, ("fib::x", outcome, "why")).is_green
    assert row(_GOOD, _SKIP).is_green


def test_lost_and_not_run_are_counted_apart_from_failed() -> None:
    tests = [
        ("a", Outcome.FAILED, "x"),
        ("b", Outcome.ERROR, "x"),
        ("c", Outcome.LOST, "gone"),
        *[(f"d{number}", Outcome.NOT_RUN, "given up") for number in range(3)],
        ("e", Outcome.UNAVAILABLE, "no memory"),
    ]
    assert "2 +1 lost +3 not run +1 unavailable" in _lines(run(row(*tests, known=facts())))[1]


def test_a_hundred_equal_failures_read_as_one() -> None:
    tests = [(f"fib::f{number}", Outcome.FAILED, "wrong limb carry") for number in range(100)]
    lines = _lines(run(row(*tests, known=facts())))
    assert len(lines) == 3
    assert "wrong limb carry" in lines[2]
    assert "fib::f0 and 99 more" in lines[2]


def test_the_most_frequent_reasons_come_first_and_the_rest_is_counted() -> None:
    tests = [(f"t{number}", Outcome.FAILED, f"reason {number % 5}") for number in range(14)]
    lines = _lines(run(row(("once", Outcome.FAILED, "reason 5"), *tests, known=facts())))
    assert [line.split(": ")[1].split("  ")[0] for line in lines[2:5]] == ["reason 0", "reason 1", "reason 2"]
    assert lines[5] == "debian12-6.1: 3 more reasons in results.json"


@pytest.mark.parametrize(
    ("reason", "source", "shown"),
    [
        ("BUG: null pointer", "read.c:42", "BUG: null pointer at read.c:42"),
        ("read.c:42: undeclared", "src/read.c:42", "read.c:42: undeclared"),
        ("", "read.c:42", "failed at read.c:42"),
        ("BUG: null pointer", "", "BUG: null pointer"),
    ],
)
def test_a_reason_names_its_line_of_the_source_once(reason: str, source: str, shown: str) -> None:
    test = TestResult(
        test="t", target="debian12-6.1", outcome=Outcome.FAILED, duration_s=1.0, reason=reason, source=source
    )
    lines = reasons(TargetResult(target="debian12-6.1", facts=facts(), tests=(test,)))
    assert lines == [f"debian12-6.1: {shown}  [t]"]


def test_a_reason_is_never_cut_and_never_read_as_markup() -> None:
    reason = "does not build: [bold]x[/bold] " + "long " * 60 + "end"
    text = render(run(row(("t", Outcome.FAILED, reason), known=facts())), width=80, color=False)
    assert reason in text


def test_a_builds_warnings_are_counted_and_the_first_is_shown() -> None:
    warnings = ("fib.c:3:5: warning: unused variable 'n'", "fib.c:9:1: warning: no previous prototype")

    one = _lines(run(row(_GOOD, known=facts(build_warnings=warnings[:1]))))[-1]
    two = _lines(run(row(_GOOD, known=facts(build_warnings=warnings))))[-1]

    assert one == f"debian12-6.1: the build printed a warning: {warnings[0]}"
    assert two == f"debian12-6.1: the build printed 2 warnings, all in results.json; the first: {warnings[0]}"


def test_notices_stand_at_the_end() -> None:
    assert _lines(run(row(_GOOD, known=facts()), notices=("the index is old",)))[-1] == "note: the index is old"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gcc-12 (Debian 12.2.0-14) 12.2.0", "gcc-12 12.2.0"),
        ("gcc-10 (Debian 10.2.1-6) 10.2.1 20210110", "gcc-10 10.2.1"),
        ("x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0", "gcc-14 14.2.0"),
        ("Debian clang version 14.0.6", "Debian clang version 14.0.6"),
        ("", "-"),
    ],
)
def test_a_compiler_is_its_name_and_version(text: str, shown: str) -> None:
    assert f"  {shown}  " in _lines(run(row(_GOOD, known=facts(compiler=text))))[1]
