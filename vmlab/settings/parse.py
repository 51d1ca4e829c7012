# SPDX-License-Identifier: MIT
"""The text of a setting as its value. Each parser raises `Invalid`, which says what the text must be."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from vmlab.errors import nearest
from vmlab.settings.words import Shard

_MOST_SHARDS = 10_000


class Invalid(ValueError):
    """A text that is not the value of a setting; the message completes a sentence that begins with its name."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def between(low: float, high: float, kind: type) -> Callable[[str], Any]:
    """A parser of numbers within two bounds."""

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            raise Invalid(f"must be between {low:g} and {high:g}")
        return value

    return parse


def one_of(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    """A parser of the words of an enumeration."""

    def parse(text: str) -> StrEnum:
        words = [str(word) for word in kind]
        if text not in words:
            raise Invalid(f"must be {', '.join(words[:-1])} or {words[-1]}", hint=nearest(text, words))
        return kind(text)

    return parse


def yes_or_no(text: str) -> bool:
    """`yes` or `true` as True, `no` or `false` as False."""
    if text.lower() not in ("yes", "no", "true", "false"):
        raise Invalid("must be yes or no")
    return text.lower() in ("yes", "true")


def budget(text: str) -> float | None:
    """A number of GiB, or `auto` as None."""
    if text == "auto":
        return None
    try:
        return float(between(1, 1e6, float)(text))
    except Invalid:
        raise Invalid("must be auto, or GiB between 1 and 1000000") from None


def path(text: str) -> Path:
    """An absolute path, without a look at the disk."""
    if not text:
        raise Invalid("must be a path")
    return Path(text).expanduser().absolute()


def optional_path(text: str) -> Path | None:
    """An absolute path, or None for no text."""
    return path(text) if text else None


def optional_directory(text: str) -> Path | None:
    """The path of a directory that is there, or None for no text."""
    found = optional_path(text)
    if found is not None and not found.is_dir():
        raise Invalid("must be a directory that exists")
    return found


def optional_shard(text: str) -> Shard | None:
    """`3/8` as a shard, or None for no text."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None:
        raise Invalid("must be a shard and how many there are, such as 3/8")
    index, count = int(match[1]), int(match[2])
    if not 1 <= count <= _MOST_SHARDS:
        raise Invalid(f"must have 1 to {_MOST_SHARDS} shards")
    if not 1 <= index <= count:
        raise Invalid(f"must be between 1/{count} and {count}/{count}")
    return Shard(index=index, count=count)


PATHS = (path, optional_path, optional_directory)
"""The parsers of paths, which are relative to the project where it is the project that names them."""
