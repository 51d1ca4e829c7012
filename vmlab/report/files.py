# SPDX-License-Identifier: MIT
"""The result file: the model as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec

from vmlab import __version__
from vmlab.decode import structure
from vmlab.errors import UsageError
from vmlab.report.model import READABLE, SCHEMA, RunResult, TargetResult
from vmlab.system.files import disk_error, replace_file

RESULT_FILE = "results.json"
_ENCODER = msgspec.json.Encoder(enc_hook=str)


def write_result(result: RunResult, directory: Path) -> Path:
    """Write results.json whole or not at all; `HostError` when the disk refuses."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, directory) from error
    path = directory / RESULT_FILE
    replace_file(path, result_text(result))
    return path


def remove_result(directory: Path, *others: Path) -> None:
    """Take away the result of the run before, and of `others`, which that run may have written too, what lies in the
    same directory; `HostError` when the disk refuses."""
    place = directory.resolve()
    for path in (directory / RESULT_FILE, *(other for other in others if other.resolve().parent == place)):
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            pass
        except OSError as error:
            raise disk_error(error, path) from error


def result_text(result: RunResult) -> str:
    """A result as JSON with a line for each test and each measured series."""
    return "".join(_lines(result))


def read_result(path: Path) -> RunResult:
    """Read a result file back; `UsageError` when it is none, damaged, or of another schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{str(path)!r} is no result file: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{str(path)!r} is no result file, or damaged: {error}") from None
    return result_from(data, where=str(path))


def result_from(data: object, *, where: str) -> RunResult:
    """Decoded JSON as a result; `where` begins every error.

    Refused are a schema that is not readable, an unknown key, a missing one and a value of another kind. An older
    schema's result comes back as one of today's.
    """
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(data, dict) or type(schema) is not int or schema not in READABLE:
        raise UsageError(
            f"{where!r} has another schema than {' or '.join(map(str, READABLE))}{_author(data)}",
            hint="read it with the vmlab that wrote it",
        )
    try:
        return structure(data | {"schema": SCHEMA}, RunResult, where=where)
    except UsageError as error:
        if data.get("vmlab") == __version__:
            raise
        # A later one may have written a field that this one does not know.
        raise UsageError(f"{error.message}{_author(data)}, and this is {__version__}", hint=error.hint) from None


def _author(data: object) -> str:
    version = data.get("vmlab") if isinstance(data, dict) else None
    return f"; vmlab {version} wrote it" if isinstance(version, str) and version.isprintable() else ""


def _lines(result: RunResult) -> Iterator[str]:
    """A field a line, and of targets, tests and series one each: readable, and small beside an indentation."""
    yield "{"
    for number, field in enumerate(fields(result)):
        value = getattr(result, field.name)
        yield f'{"," if number else ""}\n "{field.name}": '
        if isinstance(value, tuple):
            yield from _list([_target(row) if isinstance(row, TargetResult) else _json(row) for row in value], " ")
        else:
            yield _json(value)
    yield "\n}\n"


def _target(row: TargetResult) -> str:
    tests = "".join(_list(list(map(_json, row.tests)), "   "))
    return f'{{\n   "target": {_json(row.target)},\n   "facts": {_json(row.facts)},\n   "tests": {tests}\n  }}'


def _json(value: object) -> str:
    return _ENCODER.encode(value).decode()


def _list(rows: list[str], indent: str) -> Iterator[str]:
    if not rows:
        yield "[]"
        return
    yield f"[\n{indent} "
    yield f",\n{indent} ".join(rows)
    yield f"\n{indent}]"
