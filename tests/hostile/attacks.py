# SPDX-License-Identifier: MIT
"""Hostile texts, and the search for what may not reach a terminal or a file for people."""

from __future__ import annotations

import re
import unicodedata

ATTACKS = {
    "OSC 52 writes the clipboard": "\x1b]52;c;ZWNobyBwd25lZA==\x07",
    "a nested sequence": "\x1b\x1b[0m[2J\x1b]\x1b[31m0;t\x07",
    "a sequence in its C1 form": "\x9b2J\x9d0;title\x9c\x90q\x9c",
    "a device control string": "\x1bP+q544e\x1b\\\x1b_Ga=q\x1b\\\x1b^x\x1b\\",
    "a reset": "\x1bc\x1b[!p",
    "an overwritten line": "FAILED\rPASSED\x08\x08\x0b\x0c",
    "NUL, BEL and DEL": "\0\a\x7f",
    "a line in C1": "\x85\u2028\u2029",
    "a bidirectional override": "\u202ecod\u2066\u200f\u061c",
    "zero width": "\u200b\u2060\ufeff\u00ad\u200d",
    "a lone surrogate": "\udc9b\ud800",
    "private, unassigned and no characters": "\ue000\U000e0080\U0010ffff\uffff",
    "invisible letters and marks": "\u3164\u115f\u1160\uffa0\u17b4\u034f\ufe0f\u180b\U000e0100",
    "tags": "\U000e0041",
    "rich markup without its beginning": "[/red][/]",
    "rich markup": "[bold red on blue][link=file:///etc/passwd]x[/link]",
}
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
PLAIN = "é 中文 🙂"
"""Ordinary text, which must be kept."""


def around(attack: str) -> str:
    """Return an attack between ordinary words, so that a sink that drops everything is noticed."""
    return f"<{PLAIN}{attack}{PLAIN}>"


def found_in(raw: str | bytes, *, colors: bool = False) -> list[str]:
    """Return the characters in an output that are not printable, by name; line breaks and tabs are allowed, and with
    `colors` the sequences of rich's colours."""
    text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
    if colors:
        text = re.sub(r"\x1b\[(?:0|[1-9]|[39][0-7])(?:;(?:[1-9]|[39][0-7]))*m", "", text)
    kinds = ((letter, unicodedata.category(letter)) for letter in text if letter not in "\n\t")
    return [
        f"U+{ord(letter):04X}"
        for letter, kind in kinds
        if kind[0] == "C" or kind in ("Zl", "Zp") or _INVISIBLE.match(letter)
    ]
