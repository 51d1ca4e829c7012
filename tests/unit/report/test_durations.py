# SPDX-License-Identifier: MIT
"""Test durations are recorded without their targets' durations, and unrecorded tests are estimated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.report.durations import (
    NOTHING_TIMED,
    UNKNOWN_SETUP_S,
    UNKNOWN_TEST_S,
    Durations,
    Expected,
    TargetDurations,
    durations_of,
    read_durations,
    write_durations,
)
from vmlab.report.files import write_result
from vmlab.report.model import Outcome, TargetResult, TestResult

from .results import facts, run


def _row(target: str, *tests: tuple[str, float], outcome: Outcome = Outcome.PASSED, boots: int = 1) -> TargetResult:
    known = replace(facts(), image_s=100.0, boot_s=40.0 if boots else 0.0, boots=boots, build_s=2.0, fork_s=1.0)
    results = tuple(TestResult(test=name, target=target, outcome=outcome, duration_s=took) for name, took in tests)
    return TargetResult(target=target, facts=known, tests=results)


def test_the_first_test_did_not_take_what_image_boot_and_build_took() -> None:
    found = durations_of([run(_row("x", ("a", 145.0), ("b", 3.0)))]).targets["x"]
    assert (found.setup_s, found.tests) == (42.0, {"a": 3.0, "b": 3.0})


def test_a_first_test_is_no_shorter_than_a_fork() -> None:
    assert durations_of([run(_row("x", ("a", 120.0)))]).targets["x"].tests == {"a": 1.0}


def test_a_run_from_snapshots_tells_nothing_of_what_making_ready_takes() -> None:
    found = durations_of([run(_row("x", ("a", 3.0), boots=0))]).targets["x"]
    assert found.setup_s is None


def test_several_runs_give_the_mean() -> None:
    runs = [run(_row("x", ("a", 142.0 + took), ("b", took))) for took in (2.0, 4.0)]
    assert durations_of(runs).targets["x"].tests == {"a": 3.0, "b": 3.0}


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.NOT_RUN, Outcome.UNAVAILABLE])
def test_what_was_lost_was_not_timed(outcome: Outcome) -> None:
    assert "x" not in durations_of([run(_row("x", ("a", 900.0), outcome=outcome))]).targets


def _recorded() -> Durations:
    return Durations(
        targets={
            "x": TargetDurations(setup_s=40.0, tests={"a": 1.0, "b": 2.0, "c[x-octal]": 7.0, "e": 4.0}),
            "y": TargetDurations(setup_s=80.0, tests={"a": 3.0}),
            "z": TargetDurations(setup_s=None, tests={"d": 9.0}),
        }
    )


@pytest.mark.parametrize(
    ("test", "target", "took_s"),
    [
        ("a", "x", 1.0),  # recorded
        ("a", "z", 2.0),  # the median of x and y
        ("c[z-octal]", "z", 7.0),  # the same test on another target, with the target's name in its parameters
        ("new", "x", 3.0),  # the median of x
        ("new", "w", 3.5),  # the median of all
    ],
)
def test_what_nobody_timed_is_estimated(test: str, target: str, took_s: float) -> None:
    assert Expected(_recorded()).test_s(test, target) == took_s


@pytest.mark.parametrize(("target", "took_s"), [("x", 40.0), ("z", 60.0), ("w", 60.0)])
def test_making_ready_is_as_recorded_or_as_on_others(target: str, took_s: float) -> None:
    assert Expected(_recorded()).setup_s(target) == took_s


def test_without_records_all_tests_are_alike() -> None:
    expected = Expected(NOTHING_TIMED)
    assert (expected.test_s("a", "x"), expected.setup_s("x")) == (UNKNOWN_TEST_S, UNKNOWN_SETUP_S)


def test_a_durations_file_and_a_result_file_are_both_read(tmp_path: Path) -> None:
    result = run(_row("x", ("a", 145.0)))
    write_durations(durations_of([result]), tmp_path / "durations.json")
    path = write_result(result, tmp_path)
    for place in (tmp_path / "durations.json", path, tmp_path):
        assert read_durations(place) == durations_of([result])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("{", "damaged"),
        ("[]", "has no durations"),
        ("{}", "has no durations"),
        ('{"kind": "vmlab durations", "schema": 2, "targets": {}}', "must have schema 1"),
        ('{"kind": "vmlab durations", "schema": 1, "targets": {"x": {}}}', "tests: this key is missing"),
        (
            '{"kind": "vmlab durations", "schema": 1, "targets": {"x": {"tests": {"a": -1}}}}',
            "a: invalid duration -1.0",
        ),
        (
            '{"kind": "vmlab durations", "schema": 1, "targets": {"x": {"tests": {"a": NaN}}}}',
            "NaN is not a number",
        ),
        (
            '{"kind": "vmlab durations", "schema": 1, "targets": {"x": {"tests": {}, "setup_s": 1e99}}}',
            "setup_s: invalid duration",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "durations.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=why) as caught:
        read_durations(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="No such file"):
        read_durations(tmp_path / "none.json")


def test_the_written_file_is_one_that_people_can_review(tmp_path: Path) -> None:
    write_durations(_recorded(), tmp_path / "durations.json")
    text = (tmp_path / "durations.json").read_text()
    assert text.endswith("}\n")
    assert len(text.splitlines()) > 10
    assert json.loads(text)["targets"]["y"]["tests"] == {"a": 3.0}
