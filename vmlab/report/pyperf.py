# SPDX-License-Identifier: MIT
"""Series as a file that pyperf reads: `pyperf show`, `stats`, `hist`, `compare_to`.

Written here, since pyperf would put this Python and this host on every figure, and the format is small: version 1.0,
https://pyperf.readthedocs.io/en/latest/api.html#json-format. Tested against pyperf itself.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from vmlab.decode import unstructure
from vmlab.errors import UsageError
from vmlab.system.files import replace_file
from vmlab.timing.document import SeriesDocument
from vmlab.timing.series import Point, Series, TimingSource, Unit

_VERSION = "1.0"
_NS_A_SECOND = 1e9


def write_pyperf(document: SeriesDocument, path: Path) -> list[str]:
    """Write every sample of a document, whole or not at all; returns what was left out, a line each.

    pyperf takes no value that is not above zero: a point that has one is left out. Raises `UsageError` when nothing is
    left, `HostError` when the disk refuses.
    """
    benchmarks: dict[str, dict[str, Any]] = {}
    left_out = []
    for row in document.series:
        for point in row.points:
            name = _name(document, row, point)
            if name in benchmarks:
                raise UsageError(f"two series would both be {name!r} to pyperf", hint="give them names of their own")
            if min(point.samples) > 0:
                benchmarks[name] = {"metadata": _metadata(row, point, name), "runs": [{"values": _values(row, point)}]}
            else:
                left_out.append(
                    f"left out: {name}: a sample is {min(point.samples):g}, and pyperf takes none that is not above 0"
                )
    if not benchmarks:
        raise UsageError("pyperf takes none of these series: no point has only samples above zero")
    common = {"vmlab_version": document.vmlab, "date": _date(document.date)}
    common |= {f"host_{key}": _line(value) for key, value in document.host.items()}
    data = {"version": _VERSION, "metadata": _filled(common), "benchmarks": list(benchmarks.values())}
    replace_file(path, json.dumps(data, indent=1) + "\n")
    return left_out


def _name(document: SeriesDocument, row: Series, point: Point) -> str:
    """The same for the same measurement in two files, so that pyperf finds the pairs."""
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
    # A nanosecond of icount is an instruction.
    return row.unit is Unit.NS and row.source is not TimingSource.ICOUNT


def _values(row: Series, point: Point) -> list[float]:
    return [sample / _NS_A_SECOND for sample in point.samples] if _is_time(row) else list(point.samples)


def _date(text: str) -> str:
    """A date as pyperf writes one, without a zone; empty when it is none."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return ""


def _line(text: str) -> str:
    """pyperf takes no line ends in a word."""
    return re.sub(r"\s+", " ", text).strip()


def _filled(words: dict[str, Any]) -> dict[str, Any]:
    """pyperf takes no empty word either."""
    lines = {key: _line(value) if isinstance(value, str) else value for key, value in words.items()}
    return {key: value for key, value in lines.items() if value != ""}
