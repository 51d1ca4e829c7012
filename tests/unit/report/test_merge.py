# SPDX-License-Identifier: MIT
"""Results of several hosts are merged, missing parts are reported, and unrelated results are refused."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.report.files import write_result
from vmlab.report.merge import Part, merge, read_parts
from vmlab.report.model import (
    LOST_STATUS,
    NOT_RUN_STATUS,
    UNAVAILABLE_STATUS,
    Outcome,
    RunResult,
    ShardFacts,
    TargetResult,
)
from vmlab.report.terminal import render

from .results import facts, row, run

_GOOD = ("fib::read", Outcome.PASSED, "")
_BAD = ("fib::write", Outcome.FAILED, "wrong errno")
_RUN = "0123456789abcdef"


def _part(result: RunResult, name: str = "a") -> Part:
    return Part(path=Path(name, "results.json"), result=result)


def _shard(index: int, count: int, *rows: TargetResult, run_of: str = _RUN, tests: int | None = None) -> RunResult:
    told = sum(len(one.tests) for one in rows)
    shard = ShardFacts(index=index, count=count, run=run_of, tests=told if tests is None else tests)
    return replace(run(*rows), shard=shard)


def test_runs_on_different_targets_become_one_table() -> None:
    one = _part(run(row(_GOOD, target="debian11-5.10", known=facts())), "one")
    two = _part(run(row(_GOOD, _BAD, known=facts()), notices=("the index is old",)), "two")
    merged = merge([one, two])
    assert [(target.target, len(target.tests)) for target in merged.targets] == [
        ("debian11-5.10", 1),
        ("debian12-6.1", 2),
    ]
    assert merged.notices == ("the index is old",)
    assert (merged.missing, merged.status) == ((), 1)
    assert "MISSING" not in render(merged, width=170, color=False)


def test_shards_of_one_target_are_one_row_with_their_counts_together() -> None:
    first = _shard(1, 2, row(_GOOD, known=facts()))
    second = _shard(2, 2, row(("fib::seek", Outcome.PASSED, ""), known=facts()))
    (merged,) = merge([_part(second, "b"), _part(first, "a")]).targets
    assert [test.test for test in merged.tests] == ["fib::read", "fib::seek"]
    assert merged.facts is not None
    assert (merged.facts.boots, merged.facts.forks, merged.facts.consoles) == (2, 24, ("console.log", "console.log"))


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_missing_shard_is_named_and_the_rest_is_kept(gone: int) -> None:
    parts = [
        _part(_shard(index, 3, row((f"fib::{index}", Outcome.PASSED, ""), known=facts())), str(index))
        for index in (1, 2, 3)
        if index != gone
    ]
    merged = merge(parts)
    assert merged.missing == (f"shard {gone} of 3 is missing",)
    assert merged.status == 1
    assert sum(len(target.tests) for target in merged.targets) == 2
    assert f"MISSING: shard {gone} of 3 is missing" in render(merged, width=170, color=False)


def test_a_shard_that_was_cut_short_is_told_from_a_whole_one() -> None:
    parts = [
        _part(_shard(1, 2, row(_GOOD)), "a"),
        _part(_shard(2, 2, row(("fib::seek", Outcome.PASSED, "")), tests=4), "b"),
    ]
    assert merge(parts).missing == ("shard 2 of 2 has results of 1 of its 4 tests",)


def test_each_targets_run_may_be_split_by_itself() -> None:
    parts = []
    for target, index in itertools.product(("x", "y"), (1, 2)):
        tests = row((f"fib::{index}", Outcome.PASSED, ""), target=target)
        parts.append(_part(_shard(index, 2, tests, run_of=target), f"{target}{index}"))
    assert merge(parts).missing == ()
    assert merge(parts[:3]).missing == ("shard 2 of 2 of y is missing",)


def test_a_shard_that_had_nothing_for_a_guest_counts_as_there() -> None:
    assert merge([_part(_shard(1, 2, row(_GOOD)), "a"), _part(_shard(2, 2), "b")]).missing == ()


def test_targets_that_must_be_there_are_missed() -> None:
    merged = merge([_part(run(row(_GOOD)))], targets=["debian12-6.1", "debian13-6.12"])
    assert merged.missing == ("no results of debian13-6.12",)


def test_what_a_merged_result_lacked_it_lacks_when_it_is_merged_again() -> None:
    merged = merge([_part(_shard(1, 2, row(_GOOD)))])
    again = merge([_part(merged, "a"), _part(run(row(_GOOD, target="x")), "b")])
    assert again.missing == ("shard 2 of 2 is missing",)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (
            replace(run(row(target="x")), vmlab="0.2.0"),
            "two versions of vmlab: '0.1.0' in '.*one.*', '0.2.0' in '.*two",
        ),
        (replace(run(row(target="x")), module="other"), "two versions of the module: "),
        (replace(run(row(target="x")), source="f" * 64), "two versions of the module's sources: "),
        (run(row(_GOOD)), "fib::read on debian12-6.1 is duplicated: '.*one.*' and '.*two"),
    ],
)
def test_what_does_not_belong_together_is_refused_with_both_files(other: RunResult, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        merge([_part(run(row(_GOOD)), "one"), _part(other, "two")])
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_a_shard_that_is_there_twice_is_refused() -> None:
    twice = [_part(_shard(1, 2, row(_GOOD)), name) for name in ("one", "two")]
    with pytest.raises(UsageError, match=r"shard 1 of 2 is duplicated: 'one.*' and 'two"):
        merge(twice)


def test_two_files_of_one_name_may_have_a_test_of_one_name_in_two_shards() -> None:
    parts = [_part(_shard(index, 2, row(_GOOD)), str(index)) for index in (1, 2)]
    (merged,) = merge(parts).targets
    assert len(merged.tests) == 2


def test_hosts_that_had_different_kernels_are_told() -> None:
    other = facts()
    other = replace(other, provenance=replace(other.provenance, release="6.1.0-57-cloud-amd64", accelerator="kvm"))
    parts = [
        _part(_shard(1, 2, row(_GOOD, known=facts())), "a"),
        _part(_shard(2, 2, row(_BAD, known=other)), "b"),
    ]
    assert merge(parts).notices == (
        "debian12-6.1: hosts had different kernels: 6.1.0-56-cloud-amd64, 6.1.0-57-cloud-amd64",
        "debian12-6.1: hosts had different accelerators: tcg, kvm",
    )


def test_settings_that_differ_are_left_out() -> None:
    one = replace(run(row(_GOOD)), settings={"cpus": "2", "report": "/a"})
    two = replace(run(row(_GOOD, target="x")), settings={"cpus": "2", "report": "/b"})
    assert merge([_part(one, "a"), _part(two, "b")]).settings == {"cpus": "2"}


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ([Outcome.PASSED, Outcome.SKIPPED], 0),
        ([Outcome.PASSED, Outcome.FAILED, Outcome.LOST], 1),
        ([Outcome.ERROR], 1),
        ([Outcome.PASSED, Outcome.LOST, Outcome.NOT_RUN], LOST_STATUS),
        ([Outcome.PASSED, Outcome.NOT_RUN], NOT_RUN_STATUS),
        ([Outcome.PASSED, Outcome.UNAVAILABLE], UNAVAILABLE_STATUS),
        ([Outcome.UNAVAILABLE, Outcome.NOT_RUN], NOT_RUN_STATUS),
        ([Outcome.UNAVAILABLE, Outcome.LOST], LOST_STATUS),
        ([Outcome.UNAVAILABLE, Outcome.ERROR], 1),
        ([], 5),
    ],
)
def test_the_status_is_that_of_a_run_with_all_of_it(outcomes: list[Outcome], status: int) -> None:
    tests = [(f"fib::{number}", outcome, "why") for number, outcome in enumerate(outcomes)]
    assert merge([_part(run(row(*tests)))]).status == status


def test_results_are_found_below_directories_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b/deep", "a"):
        write_result(run(row(_GOOD, target=name[0])), tmp_path / name)
    found = [part.result.targets[0].target for part in read_parts([tmp_path])]
    assert found == ["a", "b"]
    assert len(read_parts([tmp_path, tmp_path / "a", tmp_path / "a" / "results.json"])) == 2


def test_a_place_without_results_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no results\.json in '.*'"):
        read_parts([tmp_path])
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read_parts([tmp_path / "none"])


def test_a_damaged_result_file_ends_the_merge(tmp_path: Path) -> None:
    write_result(run(row(_GOOD, target="x")), tmp_path / "whole")
    path = write_result(run(row(_GOOD)), tmp_path / "cut")
    whole = path.read_text()
    for length in range(0, len(whole) - 2, 7):
        path.write_text(whole[:length])
        with pytest.raises(UsageError, match=r"cut/results\.json") as caught:
            read_parts([tmp_path])
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": 4}, "an unknown schema, expected 1 or 2 or 3; vmlab 0.1.0 wrote it"),
        ({"schema": True}, "an unknown schema, expected 1 or 2 or 3"),
        ({"vmlab": "9.9", "colour": "red"}, "colour: unknown key; vmlab 9.9 wrote it; this is vmlab"),
        ({"colour": "red"}, "colour: unknown key"),
        ({"targets": [{"target": "x", "facts": None}]}, r"targets\[0\].tests: this key is missing"),
        ({"targets": {}}, "targets: expected a list, got {}"),
        ({"notices": "abc"}, "notices: expected a list, got 'abc'"),
        ({"notices": [1]}, r"notices\[0\]: expected str, got 1"),
        ({"shard": {"index": "1", "count": 2, "run": "a", "tests": 1}}, "index"),
    ],
)
def test_a_result_that_is_not_what_the_schema_says_is_refused(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    path = write_result(run(row(_GOOD)), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UsageError, match=why) as caught:
        read_parts([path])
    assert "\n" not in str(caught.value)
