# SPDX-License-Identifier: MIT
"""The result file reads back as written, or is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vmlab.errors import HostError, UsageError
from vmlab.report.files import read_result, write_result
from vmlab.report.merge import merge, read_parts
from vmlab.report.model import SCHEMA, Outcome
from vmlab.timing.series import Point, Series, TimingSource, Unit

from .results import facts, row, run


def test_a_result_survives_the_round_trip(tmp_path: Path) -> None:
    points = (Point(n=1, samples=(1.0, 3.0, 2.0)),)
    series = Series(name="fib", target="debian12-6.1", source=TimingSource.CLOCK, unit=Unit.NS, points=points)
    tests = [(str(outcome), outcome, "why") for outcome in Outcome]
    result = replace(run(row(*tests, known=facts()), row(target="x"), notices=("n",)), series=(series,))
    path = write_result(result, tmp_path / "new" / "folder")
    assert path.name == "results.json"
    assert read_result(path) == result
    assert points[0].median == 2.0


def test_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    write_result(run(notices=("first",)), tmp_path)
    path = write_result(run(notices=("second",)), tmp_path)
    assert read_result(path).notices == ("second",)
    assert list(tmp_path.iterdir()) == [path]


def test_each_test_has_a_line_of_its_own_whatever_its_words_are(tmp_path: Path) -> None:
    hard = ['}, {"test": "x', "a\nb\r\u2028", "%s, %d%%", "\0", "café", "\\", '"']
    result = run(row(*((words, Outcome.FAILED, words) for words in hard)), row(target="x"))
    path = write_result(result, tmp_path)
    assert read_result(path) == result
    lines = [line for line in path.read_text().split("\n") if line.lstrip().startswith('{"test":')]
    assert [json.loads(line.rstrip(","))["test"] for line in lines] == [f"{words}" for words in hard]


@pytest.mark.parametrize("schema", [SCHEMA + 1, None, str(SCHEMA)])
def test_another_schema_is_refused(tmp_path: Path, schema: object) -> None:
    path = write_result(run(), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": schema}))
    with pytest.raises(UsageError, match="an unknown schema, expected"):
        read_result(path)


def test_an_older_schemas_result_is_read_and_merged_with_todays(tmp_path: Path) -> None:
    old = write_result(run(row(("a", Outcome.ERROR, "no such package"), known=facts())), tmp_path / "old")
    old.write_text(json.dumps(json.loads(old.read_text()) | {"schema": 1}))
    new = write_result(run(row(("b", Outcome.UNAVAILABLE, "no such package"), target="x")), tmp_path / "new")

    merged = merge(read_parts([old, new]))

    assert merged.schema == SCHEMA
    outcomes = [test.outcome for each in merged.targets for test in each.tests]
    assert sorted(outcomes) == [Outcome.ERROR, Outcome.UNAVAILABLE]
    assert read_result(write_result(merged, tmp_path / "merged")) == merged


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"schema": 1, "targets": 3}'])
def test_what_is_no_result_file_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_result(tmp_path / "x.json")
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read_result(tmp_path / "none.json")


def test_a_directory_that_cannot_be_made_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot write to"):
        write_result(run(), tmp_path / "file" / "report")
