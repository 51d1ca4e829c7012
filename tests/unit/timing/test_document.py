# SPDX-License-Identifier: MIT
"""A document of series reads back as written, or is refused with a one-line error."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vmlab import __version__
from vmlab.decode import unstructure
from vmlab.errors import HostError, UsageError
from vmlab.system.json_file import read_json
from vmlab.timing.document import SCHEMA, SeriesDocument, document_from, new_document, write_document
from vmlab.timing.series import TimingSource

from .measures import document, series


def _read(path: Path) -> SeriesDocument:
    return document_from(read_json(path), where=str(path))


def _refusal(path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        _read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _written(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "series.json"
    path.write_text(json.dumps(unstructure(document(series([1.0]))) | changes))
    return path


def test_a_document_survives_the_round_trip(tmp_path: Path) -> None:
    bare = replace(series([0.5, 1e18]), provenance=None, name="ü & <b>")
    whole = new_document([series({1: [1.0, 2.5], 10**9: [3.0]}, interleaving="a"), bare])
    write_document(whole, tmp_path / "new" / "series.json")
    assert _read(tmp_path / "new" / "series.json") == whole
    assert whole.vmlab == __version__
    assert whole.host["processor"]


def test_a_document_replaces_another_whole(tmp_path: Path) -> None:
    path = tmp_path / "series.json"
    write_document(document(series([1.0])), path)
    write_document(document(series([2.0])), path)
    assert _read(path).series[0].points[0].samples == (2.0,)
    assert list(tmp_path.iterdir()) == [path]


def test_what_nobody_could_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="invalid sample"):
        write_document(document(series([float("nan")])), tmp_path / "series.json")
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_made_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot write to"):
        write_document(document(series([1.0])), tmp_path / "file" / "series.json")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "is damaged or not JSON"),
        ("[" * 100_000, "is damaged or not JSON"),
        ("[]", "is not a series document"),
        ("{}", "is not a series document"),
        ('{"schema": 1, "targets": []}', "is not a series document"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "x").write_text(text)
    assert why in _refusal(tmp_path / "x")


def test_a_document_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = _written(tmp_path)
    text = path.read_text()
    for end in range(0, len(text) - 1, 7):
        path.write_text(text[:end])
        assert "is empty" in _refusal(path) or "is damaged" in _refusal(path)


def test_what_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    assert "No such file" in _refusal(tmp_path / "none")
    assert "Is a directory" in _refusal(tmp_path)
    (tmp_path / "raw").write_bytes(b"\xff\xfe")
    assert "not UTF-8 text" in _refusal(tmp_path / "raw")


@pytest.mark.parametrize("schema", [SCHEMA + 1, None, str(SCHEMA), True, 1.0])
def test_a_document_from_the_future_names_both_versions(tmp_path: Path, schema: object) -> None:
    refusal = _refusal(_written(tmp_path, schema=schema, vmlab="9.0", new_field=3))
    assert f"has schema {schema!r}, written by vmlab 9.0; vmlab {__version__} reads schema 1" in refusal


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([series([])], "no samples at n = 92"),
        ([series([1.0, float("inf")])], "Infinity is not a number"),
        ([series([1.0, 1e-300])], "invalid sample 1e-300 at n = 92"),
        ([series([1.0, -1e300])], "invalid sample -1e+300 at n = 92"),
        ([series({-1: [1.0]})], "n must be between 0 and 1000000000000000000, got -1"),
        ([series({10**40: [1.0]})], f", got {10**40}"),
        ([series([1.0]), series([2.0])], "'fib' on 'debian12-6.1' is duplicated (2 times, with clock in ns)"),
        ([replace(series([1.0]), points=series([1.0]).points * 2)], "n = 92 is duplicated"),
    ],
)
def test_series_without_a_meaning_are_refused(tmp_path: Path, rows: list[Any], why: str) -> None:
    assert why in _refusal(_written(tmp_path, series=[unstructure(row) for row in rows]))


@pytest.mark.parametrize("sample", ["1.5", True, None, [1.0]])
def test_a_sample_that_is_no_number_is_refused(tmp_path: Path, sample: object) -> None:
    row = unstructure(series([1.0]))
    row["points"][0]["samples"] = [1, sample]
    assert "samples[1]: expected float" in _refusal(_written(tmp_path, series=[row]))


def test_an_unknown_source_is_named(tmp_path: Path) -> None:
    row = unstructure(series([1.0], source=TimingSource.ICOUNT)) | {"source": "icont"}
    assert "did you mean 'icount'" in _refusal(_written(tmp_path, series=[row]))
