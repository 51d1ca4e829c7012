# SPDX-License-Identifier: MIT
"""A sharded run: its shards cover every test once, identify themselves, and merge into the whole run's result."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vmlab.report.files import read_result
from vmlab.report.merge import merge, read_parts
from vmlab.report.model import RunResult

from .inner import Inner

pytest_plugins = ["pytester"]

_TESTS = """
import pytest

@pytest.mark.parametrize("number", range(5))
def test_many(guest, number): pass

def test_bad(guest): assert 1 == 2

@pytest.mark.parametrize("number", range(3))
def test_without_a_guest(number): pass
"""
_TARGETS = "debian12-6.1,debian13-6.12"
_GUEST_TESTS = 12
_ALONE_AND_WITH_WORKERS = pytest.mark.parametrize(
    "workers", [(), ("-n", "2", "--dist", "load")], ids=["alone", "two workers"]
)


def _shards(inner: Inner, count: int, *options: str) -> list[RunResult]:
    """The results of all shards, each in a separate directory."""
    found = []
    for index in range(1, count + 1):
        ended = inner.run("--vmlab-shard", f"{index}/{count}", *options, target=_TARGETS)
        assert ended.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        written = inner.pytester.path / "build" / "vmlab" / "results.json"
        kept = inner.pytester.path / "shards" / str(index) / "results.json"
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(written, kept)
        found.append(read_result(kept))
    return found


def _names(result: RunResult) -> list[tuple[str, str]]:
    return sorted((row.target, test.test) for row in result.targets for test in row.tests)


@_ALONE_AND_WITH_WORKERS
def test_shards_have_every_test_once_and_merge_into_the_whole_run(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all=_TESTS)
    inner.run(target=_TARGETS)
    whole = read_result(inner.pytester.path / "build" / "vmlab" / "results.json")
    assert whole.shard is None
    assert len(_names(whole)) == _GUEST_TESTS

    shards = _shards(inner, 3, *workers)
    told = [result.shard for result in shards]
    assert all(shard is not None for shard in told)
    assert [(shard.index, shard.count) for shard in told if shard] == [(1, 3), (2, 3), (3, 3)]
    assert len({shard.run for shard in told if shard}) == 1
    assert sum(shard.tests for shard in told if shard) == _GUEST_TESTS
    assert all(len(_names(result)) == result.shard.tests for result in shards if result.shard)

    merged = merge(read_parts([inner.pytester.path / "shards"]))
    assert _names(merged) == _names(whole)
    assert (merged.missing, merged.status) == ((), 1)
    shutil.rmtree(inner.pytester.path / "shards" / "2")
    assert merge(read_parts([inner.pytester.path / "shards"])).missing == ("shard 2 of 3 is missing",)


def test_tests_without_a_guest_run_in_one_shard_each(inner: Inner) -> None:
    inner.tests(all=_TESTS)
    ran = []
    for index in (1, 2, 3):
        result = inner.run("--vmlab-shard", f"{index}/3", "-v", target=_TARGETS)
        ran += [line.split(" ")[0] for line in result.outlines if "test_without_a_guest" in line and "::" in line]
    assert sorted(ran) == [f"test_all.py::test_without_a_guest[{number}]" for number in range(3)]


def test_a_shard_says_what_it_is_and_what_it_was_balanced_by(inner: Inner) -> None:
    inner.tests(all=_TESTS)
    result = inner.run("--vmlab-shard", "1/3", target=_TARGETS)
    result.stdout.fnmatch_lines(["vmlab: shard: 1/3", "vmlab: shard 1/3: * of 15 tests, * expected without durations"])


def _durations(inner: Inner, **tests: float) -> Path:
    targets = {target: {"setup_s": 1.0, "tests": tests} for target in _TARGETS.split(",")}
    path = inner.pytester.path / "durations.json"
    path.write_text(json.dumps({"kind": "vmlab durations", "schema": 1, "targets": targets}))
    return path


def test_recorded_durations_decide_where_a_test_goes(inner: Inner) -> None:
    inner.tests(all="def test_long(guest): pass\n" + "".join(f"def test_{n}(guest): pass\n" for n in range(9)))
    path = _durations(inner, **{"all::test_long": 90.0}, **{f"all::test_{number}": 10.0 for number in range(9)})
    result = inner.run("--vmlab-shard", "1/2", "--vmlab-durations", str(path))
    assert "expected from durations.json" in result.stdout.str()
    ran = [set(inner.outcomes())]
    inner.run("--vmlab-shard", "2/2", "--vmlab-durations", str(path))
    ran.append(set(inner.outcomes()))
    assert {"test_long"} in ran


def test_a_results_file_of_an_earlier_run_will_do(inner: Inner) -> None:
    inner.tests(all=_TESTS)
    inner.run(target=_TARGETS)
    earlier = inner.pytester.path / "earlier.json"
    shutil.move(inner.pytester.path / "build" / "vmlab" / "results.json", earlier)
    result = inner.run("--vmlab-shard", "2/2", "--vmlab-durations", str(earlier), target=_TARGETS)
    assert "expected from earlier.json" in result.stdout.str()


def test_a_shard_without_a_test_that_uses_a_guest_leaves_a_result_file(inner: Inner) -> None:
    inner.tests(all="def test_guest(guest): pass\ndef test_other(): pass\n")
    shards = [_only(inner, f"{index}/2") for index in (1, 2)]
    assert sorted(len(_names(result)) for result in shards) == [0, 1]
    assert all(result.shard is not None for result in shards)


def _only(inner: Inner, shard: str) -> RunResult:
    assert inner.run("--vmlab-shard", shard).ret == pytest.ExitCode.OK
    return read_result(inner.pytester.path / "build" / "vmlab" / "results.json")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--vmlab-shard", "4/3"), "--vmlab-shard must be between 1/3 and 3/3, got '4/3'"),
        (("--vmlab-shard", "0/3"), "--vmlab-shard must be between 1/3 and 3/3, got '0/3'"),
        (
            ("--vmlab-shard", "three"),
            "--vmlab-shard must be a shard number and the number of shards, such as 3/8, got 'three'",
        ),
        (("--vmlab-shard", "1/99"), "15 tests cannot be split into 99 shards"),
        (("--vmlab-shard", "1/2", "--vmlab-durations", "none.json"), "cannot read "),
        (("--vmlab-shard", "1/2", "--vmlab-durations", "test_all.py"), "is damaged or not JSON"),
    ],
)
@_ALONE_AND_WITH_WORKERS
def test_bad_input_is_one_line_and_nothing_is_run(
    inner: Inner, options: tuple[str, ...], why: str, workers: tuple[str, ...]
) -> None:
    inner.tests(all=_TESTS)
    result = inner.run(*options, *workers, target=_TARGETS)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.outlines + result.errlines if "vmlab: " in line and "ERROR" in line]
    assert why in line
    assert "Traceback" not in result.stdout.str()
    assert not (inner.pytester.path / "build" / "vmlab" / "results.json").exists()


def test_a_run_that_was_cut_short_is_missed_when_it_is_merged(inner: Inner) -> None:
    inner.tests(all="def test_bad(guest): assert 1 == 2\ndef test_good(guest): pass\ndef test_fine(guest): pass\n")
    _shards(inner, 2, "-x")
    missing = merge(read_parts([inner.pytester.path / "shards"])).missing
    assert missing == tuple(f"shard {index} of 2 has results of 1 of its 3 tests" for index in (1, 2))


def test_a_variable_of_the_environment_says_the_shard_too(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    inner.tests(all=_TESTS)
    monkeypatch.setenv("VMLAB_SHARD", "2/2")
    inner.run(target=_TARGETS)
    result = read_result(inner.pytester.path / "build" / "vmlab" / "results.json")
    assert result.shard is not None
    assert (result.shard.index, result.shard.count) == (2, 2)


def test_a_run_without_guests_is_not_split_and_not_green(inner: Inner) -> None:
    inner.tests(sum="def test_sum(): pass\ndef test_other(): pass\n")
    result = inner.run("--vmlab-shard", "1/2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "no selected test uses a guest" in "\n".join(result.outlines + result.errlines)
