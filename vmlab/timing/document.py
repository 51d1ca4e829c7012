# SPDX-License-Identifier: MIT
"""The series document: a JSON file with series of measurements."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vmlab import __version__
from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.host.facts import processor_model
from vmlab.system.files import disk_error, replace_file
from vmlab.text import ascii_json
from vmlab.timing.series import Series

SCHEMA = 1
"""Schema version, raised when a field changes its meaning or is removed."""
SERIES_FILE = "series.json"
KIND = "vmlab series"
_LARGEST, _LEAST = 10**18, 1e-12
"""Bounds of sizes and costs: 30 years in nanoseconds, and far less than an instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesDocument:
    """Measured series, with the date and the host."""

    kind: str = KIND
    """Marker that distinguishes the file from other JSON."""
    schema: int = SCHEMA
    vmlab: str
    date: str
    """Date in UTC, in ISO 8601."""
    host: Mapping[str, str]
    """Description of the host; empty if it was not recorded."""
    series: tuple[Series, ...]


def host_words() -> dict[str, str]:
    """Describe this host: processor, number of cores that this process may use, kernel."""
    return {
        "processor": processor_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def new_document(series: Iterable[Series]) -> SeriesDocument:
    """Return a document of series measured now, on this host, by this vmlab."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return SeriesDocument(vmlab=__version__, date=date, host=host_words(), series=tuple(series))


def write_document(document: SeriesDocument, path: Path) -> None:
    """Write a document atomically.

    Raises `UsageError` for a series that `document_from` would refuse, `HostError` if the disk fails.
    """
    check_series(document.series, where=str(path))
    text = ascii_json(unstructure(document)) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path.parent) from error
    replace_file(path, text)


def document_from(data: object, *, where: str) -> SeriesDocument:
    """Convert decoded JSON to a document; every error begins with `where`."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise UsageError(f"{where!r} is not a series document", hint=f"its key kind must be {KIND!r}")
    schema = data.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        by = f", written by vmlab {data['vmlab']}" if isinstance(data.get("vmlab"), str) else ""
        raise UsageError(
            f"{where!r} has schema {schema!r}{by}; vmlab {__version__} reads schema {SCHEMA}",
            hint="read it with the vmlab that wrote it",
        )
    document = structure(data, SeriesDocument, where=where)
    check_series(document.series, where=where)
    return document


def check_series(series: Sequence[Series], *, where: str) -> None:
    """Raise `UsageError` for the first invalid series: a duplicate, no samples, a negative size, NaN."""
    for row in series:
        name = f"{where}: {row.name!r} on {row.target!r}"
        sizes = Counter(point.n for point in row.points)
        if twice := [n for n, count in sizes.items() if count > 1]:
            raise UsageError(f"{name}: n = {twice[0]} is duplicated")
        for point in row.points:
            if not point.samples:
                raise UsageError(f"{name}: no samples at n = {point.n}")
            if not 0 <= point.n <= _LARGEST:
                raise UsageError(f"{name}: n must be between 0 and {_LARGEST}, got {point.n}")
            if strange := [sample for sample in point.samples if not _is_measurement(sample)]:
                raise UsageError(f"{name}: invalid sample {strange[0]} at n = {point.n}")
    keys = Counter((row.name, row.target, row.source, row.unit) for row in series)
    if doubled := [key for key, count in keys.items() if count > 1]:
        name, target, source, unit = doubled[0]
        raise UsageError(
            f"{where}: {name!r} on {target!r} is duplicated ({keys[doubled[0]]} times, with {source} in {unit})",
            hint="give each series a different name",
        )


def _is_measurement(sample: float) -> bool:
    # NaN fails both comparisons.
    return sample == 0 or _LEAST <= abs(sample) <= _LARGEST
