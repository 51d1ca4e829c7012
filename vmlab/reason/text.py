# SPDX-License-Identifier: MIT
"""Sanitize output for a message: the output of a guest or a build is hostile. Pure."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 240
"""Maximum length of a reason in characters, so that it fits a line of the summary."""
_LONGEST_LINE = 2000
"""Number of characters of a line that are examined."""
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_WORD_BREAKS = "\t\v\f\x85\u2028\u2029"


def lines_of(text: str) -> list[str]:
    """Split output into lines without terminal sequences and control characters; of an overwritten line only the last
    version is kept."""
    return [_visible(_last_written(line)[:_LONGEST_LINE]) for line in _ESCAPE.sub("", text).split("\n")]


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """Join a text into one line without control characters, truncated to `longest` characters."""
    line = " ".join(" ".join(lines_of(text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def _last_written(line: str) -> str:
    parts = [part for part in line.split("\r") if part.strip()]
    return parts[-1] if parts else ""


def _visible(line: str) -> str:
    # Category C: control characters, bidirectional marks, surrogates.
    spaced = (" " if letter in _WORD_BREAKS else letter for letter in line)
    return "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C").rstrip()
