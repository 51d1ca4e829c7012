# SPDX-License-Identifier: MIT
"""Rows of the map: for each name, its values in the kernel lines. docs/api-map.md describes the format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from vmlab.errors import AssetError

HINT = "reinstall vmlab, or restore the file from its repository"
_MASK = re.compile(r"[0-9a-f]{1,8}")


class Kind(StrEnum):
    """Kind of a fact about a name; one letter, as stored."""

    EXPORT = "x"
    """Exported symbol: `gpl` or `all`, namespace or `-`, exporting module's path or `vmlinux`."""
    LACKING = "l"
    """Exported by the generic flavour, but not by the cloud one: the option that is off there, or `-` if unknown."""
    PROTOTYPE = "p"
    """Function's type; one from a header, not from BTF, begins with `~`."""
    HEADER = "h"
    """Headers that declare it, `way:path,path`; the way is e (external or a type), i (inline), m (macro) or u (headers
    use it, and its declaration was not recognized)."""
    MACRO = "d"
    """Number of a macro's parameters, with `+` if more may follow; `-` for one without parentheses."""
    ALIAS = "a"
    """Name that an inline function or macro only calls."""
    TYPE = "t"
    """Keyword of a type: struct, union, enum, typedef."""
    MEMBERS = "b"
    """Structure whose members are all known in these lines."""
    MEMBER = "m"
    """Type of a member; the name is `structure.member`."""
    CONSTANT = "c"
    """Constant of an enumeration; `?` if headers use it, and its declaration was not recognized."""
    FILE = "i"
    """Header that `#include` finds."""
    SUCCESSOR = "r"
    """Name beside this one in the first line that lacks it: `=` one that this one only called, `~` a near one of the
    same type, `+` a member of the same name but for underscores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A name's values of one kind."""

    name: str
    kind: Kind
    values: tuple[str | None, ...]
    """Value in each line, oldest first; None where there is none."""


def encode(row: Row) -> str:
    """Return a row as one line of text: name, kind, then pairs of a mask of lines and a value."""
    masks: dict[str, int] = {}
    for number, value in enumerate(row.values):
        if value is not None:
            masks[value] = masks.get(value, 0) | 1 << number
    parts = [f"{mask:x}\t{value}" for value, mask in masks.items()]
    return "\t".join([row.name, row.kind, *parts])


def decode(text: str, lines: int) -> Row:
    """Return the row that a line of text holds, for a map of that many kernel lines. Raises `AssetError`."""
    name, *parts = text.split("\t")
    values: list[str | None] = [None] * lines
    if len(parts) < 3 or len(parts) % 2 == 0 or parts[0] not in _KINDS:
        raise _damaged(text)
    for mask, value in zip(parts[1::2], parts[2::2], strict=True):
        bits = int(mask, 16) if _MASK.fullmatch(mask) else 0
        if not 0 < bits < 1 << lines:
            raise _damaged(text)
        for number in range(lines):
            if bits >> number & 1:
                values[number] = value
    return Row(name=name, kind=_KINDS[parts[0]], values=tuple(values))


_KINDS = {str(kind): kind for kind in Kind}


def is_mask(text: str) -> bool:
    """True for a mask of lines, as stored."""
    return _MASK.fullmatch(text) is not None


def decode_all(text: str, lines: int) -> Iterator[Row]:
    """Yield the rows of a block of text."""
    return (decode(line, lines) for line in text.splitlines())


def order(row: Row) -> tuple[str, str]:
    """Return the sort key of rows: all facts about one name are neighbours."""
    return row.name, row.kind


def _damaged(text: str) -> AssetError:
    return AssetError(f"the map of the kernel's API is damaged: {text[:80]!r}", hint=HINT)
