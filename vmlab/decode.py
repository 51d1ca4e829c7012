# SPDX-License-Identifier: MIT
"""Strict decoding of TOML and JSON into frozen dataclasses, and back.

An error names the file, the key and the nearest valid word. msgspec decodes; this module also finds unknown keys, which
msgspec ignores in a dataclass, and turns msgspec's errors into one line.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import errno
import os
import re
import reprlib
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from vmlab.errors import UsageError, nearest

T = TypeVar("T")

_WORDS = {"object": "a table", "array": "a list", "null": "None"}
"""Names for msgspec's kinds of values, as TOML has them."""
_PLACE = re.compile(r" - at `\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_LONGEST = 200
"""Longest part of a foreign file in a message."""
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = _LONGEST
_KIND = re.compile(r"Expected `([^`]+)`")


_LARGEST_TOML_BYTES = 2**20
_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_LONG_KEY = re.compile(rf"""(?<![\w"'-]){_PART}(?:\.[ \t]*+{_PART}){{32}}""")
"""Pattern of a dotted key with more parts than any table has: tomllib's time for a key grows as the square of them."""
_INTEGERS = range(-(2**63), 2**63)
"""Integers of TOML 1.0. Python does not convert one of more than 4300 digits to text."""


def read_regular_file(path: Path, *, largest_bytes: int) -> bytes:
    """Return the content of a file; raises `OSError`, or `UsageError` if it is not a regular file or is too large."""
    # Without O_NONBLOCK, opening a FIFO would wait for its writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"cannot read {str(path)!r}: not a regular file")
        if found.st_size > largest_bytes:
            raise UsageError(
                f"{str(path)!r} has {-(-found.st_size // 2**20)} MiB, expected at most {largest_bytes // 2**20} MiB"
            )
        return file.read(largest_bytes)


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file; raises `UsageError` with file and line if it is missing, invalid or too large."""
    try:
        text = read_regular_file(path, largest_bytes=_LARGEST_TOML_BYTES).decode()
        if (key := _LONG_KEY.search(text)) is not None:
            raise ValueError(f"a key with too many dots: {key[0][:40]}…")
        tables = tomllib.loads(text)
        if (number := _too_large(tables)) is not None:
            raise ValueError(f"an integer of {number.bit_length()} bits, expected at most 64")
        return tables
    except FileNotFoundError:
        raise UsageError(f"no such file: {path}") from None
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}", hint="expected a TOML file") from None
    except RecursionError:
        raise UsageError(f"{path}: not valid TOML: nested too deeply", hint="use fewer brackets") from None
    except ValueError as error:
        raise UsageError(f"{path}: not valid TOML: {error}", hint="correct this line") from None


def _too_large(tables: dict[str, Any]) -> int | None:
    """Return an integer in decoded TOML that has more than 64 bits."""
    values: list[Any] = [tables]
    while values:
        value = values.pop()
        if isinstance(value, dict):
            values += value.values()
        elif isinstance(value, list):
            values += value
        elif isinstance(value, int) and value not in _INTEGERS:
            return value
    return None


def structure(data: object, kind: type[T], *, where: str) -> T:
    """Convert `data` to a `kind` without coercion; raises `UsageError` that begins with `where` and names the key."""
    for place, row, row_kind in _nodes(data, kind, "", is_quick=True):
        known = _fields(row_kind)
        if known is not None and isinstance(row, dict) and row.keys() - known.keys():
            key = min(map(str, row.keys() - known.keys()))[:_LONGEST]
            word = key if key.isprintable() else repr(key)
            at = f"{place}.{word}" if place else word
            raise UsageError(f"{where}: {at}: unknown key", hint=nearest(key, list(known)))
    try:
        return msgspec.convert(data, kind, dec_hook=_from_text, builtin_types=(datetime.date,))
    except msgspec.ValidationError as error:
        raise _refusal(str(error), data, kind, where) from None


def unstructure(record: object) -> Any:
    """Convert a record to plain lists, dicts, strings and numbers, ready for JSON."""
    return _plain(msgspec.to_builtins(record, enc_hook=str))


def _plain(value: Any) -> Any:
    """Replace tuples by lists, as JSON does."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def _from_text(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(f"expected {kind.__name__}, got {value!r}")


@cache
def _fields(kind: Any) -> Mapping[str, Any] | None:
    """Return the fields of a dataclass with their types; None for any other type."""
    return get_type_hints(kind) if dataclasses.is_dataclass(kind) else None


def _nodes(data: object, kind: Any, place: str, *, is_quick: bool) -> Iterator[tuple[str, Any, Any]]:
    """Yield every value with its path, in msgspec's notation, and type; `is_quick` skips rows without unknown keys."""
    yield place, data, kind
    origin, inner, fields = get_origin(kind), get_args(kind), _fields(kind)
    if origin in (Union, UnionType):
        for option in (option for option in inner if option is not NoneType and data is not None):
            yield from _nodes(data, option, place, is_quick=is_quick)
    elif fields is not None and isinstance(data, dict):
        for name in fields.keys() & data.keys():
            below = f"{place}.{name}" if place else name
            yield from _nodes(data[name], fields[name], below, is_quick=is_quick)
    elif origin is tuple and inner[1:] == (Ellipsis,) and isinstance(data, list | tuple):
        for number, row in _suspects(data, inner[0]) if is_quick else enumerate(data):
            yield from _nodes(row, inner[0], f"{place}[{number}]", is_quick=is_quick)
    elif origin in (dict, Mapping) and isinstance(data, dict):
        for value in data.values():
            yield from _nodes(value, inner[1], f"{place}[...]", is_quick=is_quick)


def _suspects(rows: Any, kind: Any) -> Iterable[tuple[int, Any]]:
    """Rows, with their numbers, that may contain an unknown key; fast enough for a hundred thousand rows."""
    fields = _fields(kind)
    if fields is None:
        return enumerate(rows) if get_origin(kind) is not None else ()
    try:
        if not set().union(*rows) <= fields.keys():
            return enumerate(rows)
    except TypeError:
        return ()  # msgspec refuses rows that are not tables
    deep = [name for name, hint in fields.items() if get_origin(hint) is not None or _fields(hint) is not None]
    return [(number, row) for number, row in enumerate(rows) if isinstance(row, dict) and any(map(row.get, deep))]


def _refusal(said: str, data: object, kind: Any, where: str) -> UsageError:
    """Turn msgspec's message ("Expected `int`, got `str` - at `$.row[0].size`") into one line with the value."""
    found = _PLACE.search(said)
    place = found[1] if found else ""
    said = _PLACE.sub("", said)
    missing, expected = _MISSING.fullmatch(said), _KIND.match(said)
    if missing is not None:
        return UsageError(f"{where}: {place}.{missing[1]}: this key is missing".replace(": .", ": "))
    at = f"{where}: {place}" if place else where
    nodes = [(value, below) for node, value, below in _nodes(data, kind, "", is_quick=False) if node == place]
    for value, below in nodes:
        if said.startswith("Invalid enum value") and isinstance(below, enum.EnumType):
            hint = nearest(str(value)[:_LONGEST], list(map(str, below)))
            return UsageError(f"{at}: unknown word {_SHOWN.repr(value)}", hint=hint)
    if expected is not None and nodes:
        words = " or ".join(_WORDS.get(word, word) for word in expected[1].split(" | "))
        return UsageError(f"{at}: expected {words}, got {_SHOWN.repr(nodes[0][0])}")
    return UsageError(f"{at}: {said[:_LONGEST]}")
