# SPDX-License-Identifier: MIT
"""Export of series to a file for pyperf: `pyperf show`, `stats`, `hist`, `compare_to`.

Does not use pyperf, which would record this Python and this host with every figure. The format is small: version 1.0,
https://pyperf.readthedocs.io/en/latest/api.html#json-format. Tested against pyperf.
"""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any

from vmlab.decode import unstructure
from vmlab.errors import UsageError
from vmlab.system.files import replace_file
from vmlab.text import ascii_json
from vmlab.timing.document import SeriesDocument
from vmlab.timing.series import Point, Series, Unit

_VERSION = "1.0"
_NS_A_SECOND = 1e9


def write_pyperf(document: SeriesDocument, path: Path) -> list[str]:
    """Write every sample of a document atomically; returns a line for each point that was left out.

    pyperf accepts only values above zero: a point with any other value is left out. Raises `UsageError` if no point is
    left, `HostError` if the disk fails.
    """
    benchmarks: dict[str, dict[str, Any]] = {}
    left_out = []
    for row in document.series:
        for point in row.points:
            name = _name(document, row, point)
            if name in benchmarks:
                raise UsageError(f"duplicate pyperf benchmark {name!r}", hint="give each series a different name")
            if min(point.samples) > 0:
                benchmarks[name] = {"metadata": _metadata(row, point, name), "runs": [{"values": _values(row, point)}]}
            else:
                left_out.append(
                    f"left out: {name}: a sample is {min(point.samples):g}, pyperf accepts only samples above 0"
                )
    if not benchmarks:
        raise UsageError("pyperf accepts none of these series: every point has a sample of 0 or less")
    common = {"vmlab_version": document.vmlab, "date": _date(document.date)}
    common |= {f"host_{key}": _line(value) for key, value in document.host.items()}
    data = {"version": _VERSION, "metadata": _filled(common), "benchmarks": list(benchmarks.values())}
    replace_file(path, ascii_json(data) + "\n")
    return left_out


def _name(document: SeriesDocument, row: Series, point: Point) -> str:
    """Return a benchmark's name, equal for the same measurement in two files, so that pyperf pairs them."""
    same = sum((row.name, row.target) == (other.name, other.target) for other in document.series)
    source = f" by {row.source} in {row.unit}" if same > 1 else ""
    return _line(f"{row.name} n={point.n} on {row.target}{source}")


def _metadata(row: Series, point: Point, name: str) -> dict[str, Any]:
    unit = "second" if _is_time(row) else "integer"
    depended_on = unstructure(row.provenance) if row.provenance is not None else {}
    host = depended_on.pop("host", {})
    depended_on |= {f"host_{key}": value for key, value in host.items()}
    facts = {"source": str(row.source), "n": point.n, "target": row.target} | depended_on
    return {"name": name, "unit": unit} | _filled({f"vmlab_{key}": value for key, value in facts.items()})


def _is_time(row: Series) -> bool:
    return row.unit is Unit.NS


def _values(row: Series, point: Point) -> list[float]:
    return [sample / _NS_A_SECOND for sample in point.samples] if _is_time(row) else list(point.samples)


def _date(text: str) -> str:
    """Format a date like pyperf, without a time zone; empty if it is invalid."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return ""


def _line(text: str) -> str:
    """Replace line breaks, which pyperf does not accept in a string."""
    return re.sub(r"\s+", " ", text).strip()


def _filled(words: dict[str, Any]) -> dict[str, Any]:
    """Remove empty strings, which pyperf does not accept."""
    lines = {key: _line(value) if isinstance(value, str) else value for key, value in words.items()}
    return {key: value for key, value in lines.items() if value != ""}
