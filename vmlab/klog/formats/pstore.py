# SPDX-License-Identifier: MIT
"""Order of the parts of a pstore dump: each file is a part of the log's end, and the first part is the newest. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# kmsg_dump_reason_str() and the header of pstore_dump() in fs/pstore/platform.c.
_PART = re.compile(r"(?P<reason>[A-Z][a-z]{1,15})#(?P<count>\d{1,6}) Part(?P<part>\d{1,6})$")
_MOST_CHARACTERS = 16 << 20
"""Maximum that is put in order: a dump has 10 KB by default, and a backend some MB."""
_EACH_CHARACTERS = 100
"""Memory of a line beside its text."""
Numbered = tuple[int, str]


def is_part(line: str) -> bool:
    """True for the line above a part."""
    return _PART.match(line) is not None


def in_order(lines: Iterable[Numbered]) -> Iterator[Numbered]:
    """Yield numbered lines, those of a dump's parts from the oldest to the newest. Lines that an earlier dump has, too,
    are left out: an oops and the panic after it are dumped separately, with the same log before them."""
    parts: list[tuple[int, int, list[Numbered]]] = []
    size = 0
    for number, line in lines:
        match = _PART.match(line)
        if match is not None:
            parts.append((int(match["count"]), -int(match["part"]), []))
            size += _EACH_CHARACTERS
        elif parts:
            parts[-1][2].append((number, line))
            size += len(line) + _EACH_CHARACTERS
            if size > _MOST_CHARACTERS:
                yield from _sorted(parts)
                parts, size = [], 0
        else:
            yield number, line
    yield from _sorted(parts)


def _sorted(parts: list[tuple[int, int, list[Numbered]]]) -> Iterator[Numbered]:
    told: set[str] = set()
    dump = None
    own: set[str] = set()
    for count, _, lines in sorted(parts, key=lambda part: part[:2]):
        if count != dump:
            told |= own
            dump, own = count, set()
        for number, line in lines:
            own.add(line)
            if line not in told or not line.strip():
                yield number, line
