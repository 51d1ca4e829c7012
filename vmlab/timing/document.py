# SPDX-License-Identifier: MIT
"""Series as a document of their own, to be kept and compared with."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vmlab import __version__
from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.host.facts import processor_model
from vmlab.system.files import disk_error, replace_file
from vmlab.timing.series import Series

SCHEMA = 1
"""Raised when a field changes its meaning or goes away."""
SERIES_FILE = "series.json"
KIND = "vmlab series"
_LARGEST, _LEAST = 10**18, 1e-12
"""Of what can be a size or a cost: 30 years in nanoseconds, and far less than an instruction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesDocument:
    """What was measured, when and on which host."""

    kind: str = KIND
    """Tells the file from other JSON."""
    schema: int = SCHEMA
    vmlab: str
    date: str
    """UTC, in ISO 8601."""
    host: Mapping[str, str]
    """What the host was, in words; empty when nobody wrote it down."""
    series: tuple[Series, ...]


def host_words() -> dict[str, str]:
    """What a measurement's host was: its processor, how many cores this process may use, its kernel."""
    return {
        "processor": processor_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }


def new_document(series: Iterable[Series]) -> SeriesDocument:
    """Series measured on this host by this vmlab, now."""
    date = datetime.now(UTC).isoformat(timespec="seconds")
    return SeriesDocument(vmlab=__version__, date=date, host=host_words(), series=tuple(series))


def write_document(document: SeriesDocument, path: Path) -> None:
    """Write a document whole or not at all.

    Raises `UsageError` when a series holds what no reader would take back, `HostError` when the disk refuses.
    """
    check_series(document.series, where=str(path))
    text = json.dumps(unstructure(document), indent=1) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, path.parent) from error
    replace_file(path, text)


def read_document(path: Path) -> SeriesDocument:
    """Read a document back; `UsageError` when it is none, damaged, or of another schema."""
    return document_from(read_json(path), where=str(path))


def read_json(path: Path) -> Any:
    """What a JSON file holds; one `UsageError` when there is none or it is not whole."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "no text"
        raise UsageError(f"cannot read {str(path)!r}: {why}") from None
    if not text.strip():
        raise UsageError(f"{str(path)!r} is empty")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is damaged, or no JSON: {error}") from None


def document_from(data: object, *, where: str) -> SeriesDocument:
    """Decoded JSON as a document; `where` begins every error."""
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise UsageError(f"{where!r} is no document of series", hint=f"one has the key kind, {KIND!r}")
    schema = data.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        by = f", written by vmlab {data['vmlab']}" if isinstance(data.get("vmlab"), str) else ""
        raise UsageError(
            f"{where!r} has schema {schema!r}{by}; this is vmlab {__version__}, which reads {SCHEMA}",
            hint="read it with the vmlab that wrote it",
        )
    document = structure(data, SeriesDocument, where=where)
    check_series(document.series, where=where)
    return document


def check_series(series: Sequence[Series], *, where: str) -> None:
    """`UsageError` for the first series that no figure can be drawn from: twice the same, no samples, NaN."""
    for row in series:
        name = f"{where}: {row.name!r} on {row.target!r}"
        sizes = Counter(point.n for point in row.points)
        if twice := [n for n, count in sizes.items() if count > 1]:
            raise UsageError(f"{name}: n = {twice[0]} is there twice")
        for point in row.points:
            if not point.samples:
                raise UsageError(f"{name}: no samples at n = {point.n}")
            if not 0 <= point.n <= _LARGEST:
                raise UsageError(f"{name}: n = {point.n} is no size")
            if strange := [sample for sample in point.samples if not _is_measurement(sample)]:
                raise UsageError(f"{name}: a sample at n = {point.n} is {strange[0]}, which is no measurement")
    keys = Counter((row.name, row.target, row.source, row.unit) for row in series)
    if doubled := [key for key, count in keys.items() if count > 1]:
        name, target, source, unit = doubled[0]
        raise UsageError(
            f"{where}: {name!r} on {target!r} is there {keys[doubled[0]]} times, by {source} in {unit}",
            hint="record each series under a name of its own",
        )


def _is_measurement(sample: float) -> bool:
    # NaN is neither.
    return sample == 0 or _LEAST <= abs(sample) <= _LARGEST
