# SPDX-License-Identifier: MIT
"""Style of a log, guessed from its first lines: what is around the kernel's text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vmlab.klog.formats.entries import has_entries
from vmlab.klog.formats.headers import HeaderParser
from vmlab.klog.formats.pstore import Numbered, is_part

_EXAMINED_LINES = 2000
_QUOTE = re.compile(r"(?:> ?){1,10}")
_QUOTED_PRINTABLE = re.compile(r"content-transfer-encoding:\s*quoted-printable", re.IGNORECASE)
_AT_MARGIN = re.compile(r"(?P<indent>[ \t]{0,16})(?:Call [Tt]race:|Modules linked in: |CPU: \d+ .*PID: \d+ Comm: )")
"""Pattern of lines that the kernel prints without spaces before them."""
_MOST_PARTS = 100
"""Maximum of lines that are joined: one has at most 76 characters (RFC 2045), and a kernel's 1,024."""
_WEAK = "level"
"""A format whose header other files have, too: `<6>`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Text around that of the kernel."""

    is_headed: bool = False
    """True if the kernel's lines have headers, so that lines without one are not the kernel's."""
    has_entries: bool = False
    """True if each fact of a record is a field."""
    is_pstore: bool = False
    is_quoted: bool = False
    """True if lines are quoted as in a mail."""
    is_quoted_printable: bool = False
    """True if a mail's encoding is quoted-printable (RFC 2045)."""
    indent: int = 0
    """Number of characters before each line that has no header."""


def style_of(lines: Sequence[str]) -> Style:
    """Guess the style of a log from its first lines."""
    first = lines[:_EXAMINED_LINES]
    is_quoted_printable = any(map(_QUOTED_PRINTABLE.match, first))
    is_quoted = sum(line.startswith(">") for line in first) > 2
    plain = [unquoted(line) if is_quoted else line for line in first]
    headers = HeaderParser()
    headed = [line for line in plain if headers.parse(line) is not None]
    weak = len(headed) if headers.seen == {_WEAK} else 0
    whole = sum(1 for line in plain if line.strip())
    margins = [len(match["indent"]) for match in map(_AT_MARGIN.match, plain) if match is not None]
    return Style(
        is_headed=(len(headed) > 1 and not weak) or 0 < whole <= 2 * len(headed),
        has_entries=has_entries(plain),
        is_pstore=any(map(is_part, plain)),
        is_quoted=is_quoted,
        is_quoted_printable=is_quoted_printable,
        indent=min(margins, default=0),
    )


def unquoted(line: str) -> str:
    """Line without the signs before it that quote a mail."""
    match = _QUOTE.match(line)
    return line[match.end() :] if match is not None else line


def printable_decoded(lines: Iterable[Numbered]) -> Iterator[Numbered]:
    """Decode numbered lines of a mail in quoted-printable; a line keeps the number of its first part."""
    import quopri

    parts: list[str] = []
    start = 0
    for number, line in lines:
        start = start if parts else number
        parts.append(line.removesuffix("="))
        if not line.endswith("=") or len(parts) > _MOST_PARTS:
            yield start, quopri.decodestring("".join(parts).encode()).decode("utf-8", "replace")
            parts = []
    if parts:
        yield start, "".join(parts)
