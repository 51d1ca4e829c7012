# SPDX-License-Identifier: MIT
"""JSON files that come from elsewhere: read with limits on size and content, so that each fault is one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from vmlab.decode import read_regular_file
from vmlab.errors import UsageError

LARGEST_BYTES = 128 * 2**20
"""Largest file that is read; 100,000 tests with reasons have 40 MiB."""
_MOST_VALUES = 8_000_000
"""Maximum number of values in a file, which take up to 100 bytes of memory each."""


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises `UsageError` when it is missing, not a regular file, larger than `LARGEST_BYTES`, or damaged; and for what
    JSON (RFC 8259) leaves open: a duplicated key, NaN, a number out of range, half of a surrogate pair. Reads 40 MiB in
    2 s.
    """
    try:
        text = read_regular_file(path, largest_bytes=LARGEST_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error.strerror}") from None
    if not text.strip():
        raise UsageError(f"{str(path)!r} is empty")
    if text.count(b",") + text.count(b"[") + text.count(b"{") > _MOST_VALUES:
        raise UsageError(f"{str(path)!r} has more than {_MOST_VALUES} values")
    try:
        data = json.loads(text.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
        # json accepts numbers out of range and halves of surrogate pairs.
        msgspec.json.decode(text)
        return data
    except UnicodeDecodeError:
        raise UsageError(f"cannot read {str(path)!r}: not UTF-8 text") from None
    except RecursionError:
        raise UsageError(f"{str(path)!r} is damaged or not JSON: nested too deeply") from None
    except ValueError as error:
        raise UsageError(f"{str(path)!r} is damaged or not JSON: {error}") from None


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"key {key[:80]!r} is duplicated")
            seen.add(key)
    return found
