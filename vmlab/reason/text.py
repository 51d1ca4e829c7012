# SPDX-License-Identifier: MIT
"""Output as lines that may stand in a message: whatever a guest or a build printed is hostile. Pure."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 240
"""Characters of a reason: more does not fit a summary's line."""
_LONGEST_LINE = 2000
"""Characters of a line that are looked at."""
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_WORD_BREAKS = "\t\v\f\x85\u2028\u2029"


def lines_of(text: str) -> list[str]:
    """The lines of an output without terminal sequences and control characters; of a line that was written over, what
    was written last."""
    return [_visible(_last_written(line)[:_LONGEST_LINE]) for line in _ESCAPE.sub("", text).split("\n")]


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """A text on one line, without control characters and shortened at its end."""
    line = " ".join(" ".join(lines_of(text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _last_written(line: str) -> str:
    parts = [part for part in line.split("\r") if part.strip()]
    return parts[-1] if parts else ""


def _visible(line: str) -> str:
    # Category C: controls, the marks that turn the direction of a text, halves of characters.
    spaced = (" " if letter in _WORD_BREAKS else letter for letter in line)
    return "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C").rstrip()
