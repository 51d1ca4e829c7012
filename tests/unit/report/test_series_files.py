# SPDX-License-Identifier: MIT
"""Series are found in every file that contains some."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from unit.timing.measures import document, series
from vmlab.errors import UsageError
from vmlab.report.files import write_result
from vmlab.report.series_files import read_series
from vmlab.timing.document import write_document

from .results import facts, row, run


def test_a_document_a_result_file_and_a_directory_with_either_are_read(tmp_path: Path) -> None:
    measured = series([1.0, 2.0])
    write_document(document(measured), tmp_path / "one" / "series.json")
    result = write_result(replace(run(), series=(measured,)), tmp_path / "other")
    for path in (tmp_path / "one", tmp_path / "one" / "series.json", result, result.parent):
        assert read_series(path).series == (measured,)


def test_a_result_file_gives_its_version_and_date_and_no_host(tmp_path: Path) -> None:
    read = read_series(write_result(replace(run(), series=(series([1.0]),)), tmp_path))
    assert (read.vmlab, read.date, read.host) == ("0.1.0", "2026-11-23T02:00:00+00:00", {})


def test_a_result_file_gives_the_host_that_its_series_were_measured_on(tmp_path: Path) -> None:
    hosts = [{"processor": "EPYC", "cores": "2"}, {"processor": "Xeon", "cores": "2"}]
    rows = [
        replace(series([1.0], target=target), provenance=replace(facts().provenance, host=host))
        for target, host in zip(("debian12-6.1", "debian13-7.3"), hosts, strict=True)
    ]

    one = read_series(write_result(replace(run(), series=tuple(rows[:1])), tmp_path / "one"))
    merged = read_series(write_result(replace(run(), series=tuple(rows)), tmp_path / "merged"))

    assert one.host == {"processor": "EPYC", "cores": "2"}
    assert merged.host == {"processor": "EPYC, Xeon", "cores": "2"}


def test_a_series_without_provenance_gets_that_of_its_target(tmp_path: Path) -> None:
    known = facts()
    bare = [replace(series([1.0], target=target), provenance=None) for target in ("debian12-6.1", "never-came-up")]
    result = replace(run(row(known=known), row(target="never-came-up")), series=tuple(bare))
    read = read_series(write_result(result, tmp_path))
    assert [found.provenance for found in read.series] == [known.provenance, None]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("{", "is damaged"),
        ("[]", "neither a series document nor a results.json"),
        ('{"schema": 1}', "neither a series document nor a results.json"),
        ('{"schema": 4, "targets": []}', "has an unknown schema, expected 1 or 2 or 3"),
        ('{"schema": 2, "kind": "vmlab series"}', "has schema 2"),
    ],
)
def test_what_holds_none_is_refused_in_one_line(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(text)
    for way in (path, tmp_path):
        with pytest.raises(UsageError, match=why) as caught:
            read_series(way)
        assert "\n" not in str(caught.value)


def test_a_run_that_recorded_nothing_is_told_from_a_damaged_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing was recorded"):
        read_series(write_result(run(), tmp_path))


def test_an_empty_directory_names_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no results\.json and no series\.json in"):
        read_series(tmp_path)
    with pytest.raises(UsageError, match="No such file"):
        read_series(tmp_path / "none")


def test_a_result_file_with_a_series_twice_is_refused(tmp_path: Path) -> None:
    path = write_result(replace(run(), series=(series([1.0]), series([2.0]))), tmp_path)
    with pytest.raises(UsageError, match="is duplicated"):
        read_series(path)


def test_a_result_file_with_nan_is_refused(tmp_path: Path) -> None:
    path = write_result(replace(run(), series=(series([1.5]),)), tmp_path)
    path.write_text(path.read_text().replace("1.5", "NaN", 1))
    assert json.loads(path.read_text())
    with pytest.raises(UsageError, match="NaN is not a number"):
        read_series(path)
