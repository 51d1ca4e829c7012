# SPDX-License-Identifier: MIT
"""Make text printable: the output of a guest, a build, a publisher or another's file is hostile. Pure.

Everything that the lab shows or writes for people passes one of these functions. A character is printable as
`str.isprintable` has it, unless it is always invisible: no C0 or C1 control, no DEL, no bidirectional or zero-width
format character, no surrogate, no filler, no private or unassigned code point. Letters of any script, and emoji, are
kept, without the selectors of their variants.
"""

from __future__ import annotations

import codecs
import json
import re
import unicodedata

LONGEST = 240
"""Maximum length of a reason in characters, so that it fits a line of the summary."""
REPLACEMENT = "\ufffd"
"""Stands for a character that is not printable."""
ERRORS = "vmlab-stand-in"
"""Name of the error handler for a stream whose encoding lacks a character, for `codecs` and `TextIOWrapper`."""
_LONGEST_LINE = 2000
"""Number of characters of a line that are examined."""
# ECMA-48: a control sequence, a command string up to its end (or the line's), any other escape; with their C1 forms.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[@-Z\\-~]"
)
_NOT_ASCII = re.compile(r"[^\n -~]+")
# What GitHub's runner executes: "::" at a line's beginning, also after blanks, or "##[" anywhere (actions/runner,
# src/Runner.Common/ActionCommand.cs).
_WORKFLOW_COMMAND = re.compile(r"^[^\S\n]*:(?=:)|#(?=#\[)", re.MULTILINE)
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# Unicode's Default_Ignorable_Code_Point, as far as `str.isprintable` keeps it (DerivedCoreProperties.txt).
_VARIANTS = "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"
_VARIANT = re.compile(f"[{_VARIANTS}]")
_INVISIBLE = re.compile(f"[\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0{_VARIANTS}]")
_WORD_BREAKS = "\t\v\f\x85\u2028\u2029"
_STAND_INS = {"→": "->", "…": "...", "✅": "ok", "❌": "failed", "×": "x", "’": "'", REPLACEMENT: "?"}


def printable(text: str) -> str:
    """Return a text on one line: each character that is not printable is replaced, line breaks and tabs too."""
    return text if _is_printable(text) else "".join(map(_shown, text))


def printable_lines(text: str) -> str:
    """Return a text whose lines are printable. Line breaks and tabs are kept, colours are removed."""
    if _is_printable(text):
        return text
    lines = _COLOR.sub("", text).replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in lines)


def without_commands(text: str) -> str:
    """Return a text in which GitHub's runner finds no workflow command: a space splits each, as in `: :error::`."""
    return _WORKFLOW_COMMAND.sub(r"\g<0> ", text)


def lines_of(text: str) -> list[str]:
    """Split output into lines without terminal sequences and control characters; of an overwritten line only the last
    version is kept."""
    return [_visible(_last_written(line)[:_LONGEST_LINE]) for line in without_sequences(text).split("\n")]


def one_line(text: str, *, longest: int = LONGEST) -> str:
    """Join a text into one line without control characters, truncated to `longest` characters."""
    line = " ".join(" ".join(lines_of(text)).split())
    return line if len(line) <= longest else f"{line[: longest - 1].rstrip()}…"


def without_sequences(text: str) -> str:
    """Remove terminal sequences. What remains may hold control characters: an escape that was nested, for example."""
    return _ESCAPE.sub("", text)


def ascii_json(value: object, *, indent: int | None = 1) -> str:
    """Return JSON of printable ASCII characters: the file may be shown by `cat`."""
    return escaped_json(json.dumps(value, indent=indent))


def escaped_json(text: str) -> str:
    """Escape all but printable ASCII characters in encoded JSON, where they can only be parts of strings."""
    return _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1].replace("\x7f", "\\u007f"), text)


def encodable(text: str, encoding: str | None) -> str:
    """Replace what an encoding lacks: an arrow by `->`, other characters by an escape such as `\\xe9`."""
    known = encoding or "ascii"
    return text.encode(known, errors=ERRORS).decode(known)


def _is_printable(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _INVISIBLE.search(text))


def _shown(letter: str) -> str:
    if _is_printable(letter):
        return letter
    if _VARIANT.match(letter):
        return ""
    # Spaces of other widths, such as the ideographic one.
    return " " if unicodedata.category(letter) == "Zs" else REPLACEMENT


def _last_written(line: str) -> str:
    parts = [part for part in line.split("\r") if part.strip()]
    return parts[-1] if parts else ""


def _visible(line: str) -> str:
    spaced = (" " if letter in _WORD_BREAKS else letter for letter in line)
    return _INVISIBLE.sub("", "".join(letter for letter in spaced if unicodedata.category(letter)[0] != "C")).rstrip()


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    told = (_STAND_INS.get(letter) or letter.encode("ascii", "backslashreplace").decode() for letter in lacking)
    return "".join(told), error.end


codecs.register_error(ERRORS, _stand_in)
