# SPDX-License-Identifier: MIT
"""Parsers for the text of settings. Each raises `Invalid`, whose message says what the text must be."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Any

from vmlab.errors import nearest
from vmlab.settings.words import Shard

MOST_SHARDS = 10_000
_LONGEST_NAME = 255
"""NAME_MAX of Linux (limits.h), in bytes."""
_LONGEST_PATH = 3500
"""PATH_MAX is 4096; the difference is for the names that the lab adds."""
_MIRROR = re.compile(
    r"(?:https?://(?:[\w.~%!+-]+(?::[\w.~%!+-]*)?@)?[A-Za-z0-9][\w.-]*(?::\d{1,5})?(?:/[\w.~%+:@-]*)*"
    r"|file:(?:/[\w.~%+:@-]*)+)",
    re.ASCII,
)
_CONTROL = re.compile(r"%(?:[01][0-9a-f]|20|7f|22|27|5c)", re.IGNORECASE)
"""Encoded control characters, blanks, quotes and backslashes, which have no form in apt_auth.conf(5)."""
_USER = re.compile(r"//[^/\s]*@")


class Invalid(ValueError):
    """Invalid text for a setting; the message follows the setting's name, such as "must be yes or no"."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


def between(low: float, high: float, kind: type) -> Callable[[str], Any]:
    """Return a parser of numbers between two bounds, inclusive."""

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
    """Return a parser of an enumeration's words."""

    def parse(text: str) -> StrEnum:
        words = [str(word) for word in kind]
        if text not in words:
            raise Invalid(f"must be {', '.join(words[:-1])} or {words[-1]}", hint=nearest(text, words))
        return kind(text)

    return parse


def yes_or_no(text: str) -> bool:
    """Parse `yes` or `true` as True, `no` or `false` as False."""
    if text.lower() not in ("yes", "no", "true", "false"):
        raise Invalid("must be yes or no")
    return text.lower() in ("yes", "true")


def budget(text: str) -> float | None:
    """Parse a number of GiB, or `auto` as None."""
    if text == "auto":
        return None
    try:
        return float(between(1, 1e6, float)(text))
    except Invalid:
        raise Invalid("must be auto, or GiB between 1 and 1000000") from None


def path(text: str) -> Path:
    """Parse a path and make it absolute, without access to the disk."""
    if not text:
        raise Invalid("must be a path")
    try:
        found = Path(text).expanduser().absolute()
    except RuntimeError:
        raise Invalid("must be a path; `~` must be followed by a user of this host, or by nothing") from None
    if not _is_possible(str(found)):
        raise Invalid(
            f"must be a path in UTF-8 of at most {_LONGEST_PATH} bytes, and at most {_LONGEST_NAME} for each name"
        )
    return found


def _is_possible(text: str) -> bool:
    """True if the lab can use a path: records and QMP are UTF-8, and files below the path must have a place too."""
    try:
        raw = os.fsencode(text)
        raw.decode()
    except UnicodeError:
        return False
    return (
        b"\0" not in raw and len(raw) <= _LONGEST_PATH and all(len(name) <= _LONGEST_NAME for name in raw.split(b"/"))
    )


def optional_path(text: str) -> Path | None:
    """Parse a path and make it absolute; None for an empty text."""
    return path(text) if text else None


def optional_directory(text: str) -> Path | None:
    """Parse the path of an existing directory; None for an empty text."""
    found = optional_path(text)
    if found is not None and not found.is_dir():
        raise Invalid("must be a directory that exists")
    return found


def mirror(text: str) -> str:
    """Parse the address of an archive, or two with a comma between; empty for an empty text.

    The characters are those that neither a shell, nor apt, nor mmdebstrap interprets.
    """
    if text and (_CONTROL.search(text) or not all(map(_MIRROR.fullmatch, text.split(",", 1)))):
        raise Invalid("must be http://HOST/PATH, https: or file:, without characters that a shell interprets")
    return text


def without_password(text: str) -> str:
    """Return a text with the user and password of each URL in it replaced by `***`."""
    return _USER.sub("//***@", text)


def optional_shard(text: str) -> Shard | None:
    """Parse a shard such as `3/8`; None for an empty text."""
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
    if match is None:
        raise Invalid("must be a shard number and the number of shards, such as 3/8")
    index, count = int(match[1]), int(match[2])
    if not 1 <= count <= MOST_SHARDS:
        raise Invalid(f"must have 1 to {MOST_SHARDS} shards")
    if not 1 <= index <= count:
        raise Invalid(f"must be between 1/{count} and {count}/{count}")
    return Shard(index=index, count=count)


PATHS = (path, optional_path, optional_directory)
"""Parsers of paths. A path from pyproject.toml is relative to its directory."""
