# SPDX-License-Identifier: MIT
"""The result file: the model as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import msgspec

from vmlab import __version__
from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.report.check import check_result
from vmlab.report.model import READABLE, SCHEMA, RunResult, TargetResult
from vmlab.system.files import disk_error, replace_file
from vmlab.system.json_file import read_json
from vmlab.text import ascii_json, escaped_json

RESULT_FILE = "results.json"
_LONGEST_VERSION = 40
_ENCODER = msgspec.json.Encoder(enc_hook=str)


def write_result(result: RunResult, directory: Path) -> Path:
    """Write results.json atomically; raises `HostError` if the write fails."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, directory) from error
    path = directory / RESULT_FILE
    replace_file(path, result_text(result))
    return path


def remove_result(directory: Path, *others: Path) -> None:
    """Remove the result of the run before, and those of `others` in the same directory; raises `HostError` if a removal
    fails."""
    place = directory.resolve()
    for path in (directory / RESULT_FILE, *(other for other in others if other.resolve().parent == place)):
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            pass
        except OSError as error:
            raise disk_error(error, path) from error


def result_text(result: RunResult) -> str:
    """Return a result as JSON with a line for each test and each measured series."""
    return "".join(_lines(result))


def read_result(path: Path) -> RunResult:
    """Read a result file; raises `UsageError` if it is missing, invalid, or of an unknown schema."""
    return result_from(read_json(path), where=str(path))


def result_from(data: object, *, where: str) -> RunResult:
    """Convert decoded JSON to a result; `where` starts every error message.

    Raises `UsageError` for an unknown schema, an unknown or missing key, a value of the wrong type and one that no run
    has, such as a negative count. A result of an
    older schema is converted to the current one.
    """
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(data, dict) or type(schema) is not int or schema not in READABLE:
        raise UsageError(
            f"{where!r} has an unknown schema, expected {' or '.join(map(str, READABLE))}{_author(data)}",
            hint="read it with the vmlab that wrote it",
        )
    try:
        result = structure(data | {"schema": SCHEMA}, RunResult, where=where)
    except UsageError as error:
        if data.get("vmlab") == __version__:
            raise
        # A later version may have added a field.
        raise UsageError(f"{error.message}{_author(data)}; this is vmlab {__version__}", hint=error.hint) from None
    check_result(result, where=where)
    return result


def _author(data: object) -> str:
    version = data.get("vmlab") if isinstance(data, dict) else None
    is_version = isinstance(version, str) and version.isprintable() and len(version) < _LONGEST_VERSION
    return f"; vmlab {version} wrote it" if is_version else ""


def _lines(result: RunResult) -> Iterator[str]:
    """Yield a line for each field, target, test and series: readable, and smaller than indented JSON."""
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
    """Return JSON of ASCII characters: the file may be shown by `cat`."""
    try:
        return escaped_json(_ENCODER.encode(value).decode())
    except UnicodeEncodeError:
        # msgspec refuses a lone surrogate, which stands for a byte of a file name that is not UTF-8 (PEP 383).
        return ascii_json(unstructure(value), indent=None)


def _list(rows: list[str], indent: str) -> Iterator[str]:
    if not rows:
        yield "[]"
        return
    yield f"[\n{indent} "
    yield f",\n{indent} ".join(rows)
    yield f"\n{indent}]"
