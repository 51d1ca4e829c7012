# SPDX-License-Identifier: MIT
"""The result file: the model as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from vmlab import __version__
from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.report.model import READABLE, SCHEMA, RunResult, TargetResult, TestResult
from vmlab.system.files import disk_error, replace_file

RESULT_FILE = "results.json"


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
    return "".join(_lines(unstructure(replace(result, targets=())) | {"targets": result.targets}))


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


def _lines(data: dict[str, Any]) -> Iterator[str]:
    # With an indentation Python's encoder is not the one in C: five times slower, and every sample has a line.
    encode = json.JSONEncoder().encode
    yield "{"
    for number, (key, value) in enumerate(data.items()):
        yield ",\n " if number else "\n "
        yield f"{encode(key)}: "
        if key == "targets":
            yield from _list([_target(row, encode) for row in value], " ")
        elif isinstance(value, list):
            yield from _list([encode(row) for row in value], " ")
        else:
            yield encode(value)
    yield "\n}\n"


def _target(row: TargetResult, encode: Any) -> str:
    data = unstructure(replace(row, tests=()))
    head = ",\n   ".join(f"{encode(key)}: {encode(value)}" for key, value in data.items() if key != "tests")
    return f'{{\n   {head},\n   "tests": {"".join(_list(_tests(row.tests), "   "))}\n  }}'


def _tests(tests: Sequence[TestResult]) -> list[str]:
    """Tests as JSON, by columns: there may be a hundred thousand, and a call of the encoder for each takes five times
    as long. All their fields are single values, and no encoded one has a line's end in it."""
    encode = json.JSONEncoder(separators=("\n", ": ")).encode
    names = [field.name for field in fields(TestResult)]
    columns = [encode(list(map(attrgetter(name), tests)))[1:-1].split("\n") for name in names]
    form = ", ".join(f"{json.dumps(name)}: %s" for name in names)
    return list(map(f"{{{form}}}".__mod__, zip(*columns, strict=True))) if tests else []


def _list(rows: list[str], indent: str) -> Iterator[str]:
    if not rows:
        yield "[]"
        return
    yield f"[\n{indent} "
    yield f",\n{indent} ".join(rows)
    yield f"\n{indent}]"
