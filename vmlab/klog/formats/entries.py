# SPDX-License-Identifier: MIT
"""Entries with a line for each field: journalctl's json, json-pretty, export and verbose, and dmesg -J. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from vmlab.klog.formats.headers import Parsed

_FIELD = re.compile(r"(?: {4})?(?P<key>[A-Z_][A-Z0-9_]{1,63})=(?P<value>.*)")
_PRETTY = re.compile(r"\s{1,16}\"(?P<key>\w{1,64})\"\s{0,4}:\s{0,16}(?P<value>.*?),?$")
_VERBOSE = re.compile(r"\S{2,9} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})? \S{1,6} \[s=")
_ENDS = ("}", "]", "{")
_LATEST_S = 1e10
_WANTED = frozenset(
    ("MESSAGE", "_TRANSPORT", "PRIORITY", "__MONOTONIC_TIMESTAMP", "_SOURCE_MONOTONIC_TIMESTAMP", "msg", "pri", "time")
)


def has_entries(lines: Iterable[str]) -> bool:
    """True if a log is in one of these formats, given its first lines."""
    return any(
        (line.startswith("{") and '"MESSAGE"' in line)
        or line.startswith(("__CURSOR=", "__REALTIME_TIMESTAMP="))
        or (line.lstrip().startswith(('"MESSAGE"', '"msg"')) and _PRETTY.match(line) is not None)
        or _VERBOSE.match(line) is not None
        for line in lines
    )


class EntryParser:
    """A parser for entries that may have one line or many."""

    def __init__(self) -> None:
        self._fields: dict[str, object] = {}
        self._number = 0

    def parse(self, number: int, line: str) -> Iterator[tuple[int, Parsed]]:
        """Parse a line. Yields each entry that it ends, with the line number of its message."""
        if line.startswith("{") and len(line) > 2:
            fields = _json(line)
            parsed = _entry(fields) if isinstance(fields, dict) else None
            if parsed is not None:
                yield number, parsed
            return
        plain = _FIELD.match(line)
        field = plain or _PRETTY.match(line)
        if field is not None:
            key = field["key"]
            if key in _WANTED:
                self._number = number if key in ("MESSAGE", "msg") else self._number
                self._fields[key] = field["value"] if plain is not None else _json(field["value"])
        elif not line or line.lstrip().startswith(_ENDS) or _VERBOSE.match(line) is not None:
            yield from self.end()

    def end(self) -> Iterator[tuple[int, Parsed]]:
        """End the last entry."""
        parsed = _entry(self._fields)
        self._fields = {}
        if parsed is not None:
            yield self._number, parsed


def _entry(fields: Mapping[str, object]) -> Parsed | None:
    if "msg" in fields:
        time_s, priority = _number(fields.get("time"), 1.0), int(_number(fields.get("pri"), 1.0))
        return Parsed(_text(fields["msg"]), time_s, priority & 7, priority >> 3 == 0, is_stamped=True)
    if "MESSAGE" not in fields:
        return None
    stamp = fields.get("_SOURCE_MONOTONIC_TIMESTAMP", fields.get("__MONOTONIC_TIMESTAMP"))
    is_kernel = fields.get("_TRANSPORT") == "kernel"
    level = int(_number(fields.get("PRIORITY"), 1.0)) & 7
    return Parsed(_text(fields["MESSAGE"]), _number(stamp, 1e6), level, is_kernel, is_stamped=True)


def _text(value: object) -> str:
    """First line of a message; journalctl prints bytes that are not text as a list of numbers."""
    if isinstance(value, list):
        value = bytes(each for each in value if isinstance(each, int) and 0 <= each < 256).decode("utf-8", "replace")
    return str(value).split("\n", 1)[0].rstrip() if isinstance(value, str) else ""


def _number(value: object, unit: float) -> float:
    """Number of a field; 0 if it is none."""
    text = str(value)[:24]
    try:
        return min(float(text) / unit, _LATEST_S) if text[:1].isdigit() else 0.0
    except ValueError:
        return 0.0


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
