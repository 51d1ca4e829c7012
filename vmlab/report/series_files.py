# SPDX-License-Identifier: MIT
"""Reader of series from a series document, a result file, or a directory with either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vmlab.errors import UsageError
from vmlab.report.files import RESULT_FILE, read_result
from vmlab.report.model import RunResult
from vmlab.system.json_file import read_json
from vmlab.timing.document import KIND, SERIES_FILE, SeriesDocument, check_series, document_from
from vmlab.timing.series import Series


def read_series(path: Path) -> SeriesDocument:
    """Read series from a series document, a results.json, or a directory with one (`build/vmlab`).

    Series of a result file without a provenance get that of their target, which names the host. Raises `UsageError` if
    it is none of these, damaged, of another schema, or has no series.
    """
    file = _file_in(path) if path.is_dir() else path
    data = read_json(file)
    if isinstance(data, dict) and data.get("kind") == KIND:
        document = document_from(data, where=str(file))
    elif isinstance(data, dict) and "targets" in data:
        document = _document_of(read_result(file), where=str(file))
    else:
        raise UsageError(f"{str(file)!r} is neither a series document nor a {RESULT_FILE}")
    if not document.series:
        raise UsageError(
            f"{str(file)!r} has no series: nothing was recorded", hint="record them with the fixture series"
        )
    return document


def _file_in(directory: Path) -> Path:
    for name in (RESULT_FILE, SERIES_FILE):
        if (directory / name).is_file():
            return directory / name
    raise UsageError(
        f"no {RESULT_FILE} and no {SERIES_FILE} in {str(directory)!r}",
        hint="name the --vmlab-report directory of a run",
    )


def _document_of(result: RunResult, *, where: str) -> SeriesDocument:
    known = {row.target: row.facts.provenance for row in result.targets if row.facts is not None}
    series = tuple(
        row if row.provenance is not None else replace(row, provenance=known.get(row.target)) for row in result.series
    )
    check_series(series, where=where)
    return SeriesDocument(vmlab=result.vmlab, date=result.started, host=_host_of(series), series=series)


def _host_of(series: Sequence[Series]) -> dict[str, str]:
    """Return the host of all series; for merged results, the hosts of all."""
    seen: dict[str, dict[str, None]] = {}
    for row in series:
        for word, value in (row.provenance.host if row.provenance is not None else {}).items():
            seen.setdefault(word, {})[value] = None
    return {word: ", ".join(values) for word, values in seen.items()}
