# SPDX-License-Identifier: MIT
"""Takes out of an output what is another each time it is printed, and shows that it did."""

from __future__ import annotations

import re
from collections.abc import Callable

# The kernel's on both architectures, and what strace shows of a process's own. One of zeros hides another and stays.
_ADDRESS = re.compile(r"\b(?:0x)?ffff[0-9a-f]{12}\b|\b0x(?:7f|5[56])[0-9a-f]{10}\b")
_LOG_TIME = re.compile(r"^(<\d+>)?\[ *\d+\.\d{6}\]", re.MULTILINE)
# The function graph's column of durations, with its marks for long ones.
_DURATION = re.compile(r"^( *\d+\))[ $@*#!+]* *(?:[\d.]+ us)? +\|", re.MULTILINE)
# As ls prints when a file was changed, and journalctl when a line came.
_DATE = re.compile(r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d (?:\d\d:\d\d(?::\d\d)?| \d{4})(?!\d)")
_COUNTER_TIME = re.compile(r"\b\d[\d.,]*(?= (?:seconds (?:time elapsed|user|sys)|msec))")


def steady(text: str) -> str:
    """The same text with ⟨a1⟩ for the first address in it, wherever that stands, and ⟨t⟩ for times."""
    text = _LOG_TIME.sub(lambda found: f"{found[1] or ''}[⟨t⟩]", text)
    text = _DURATION.sub(lambda found: f"{found[1]}  |", text)
    text = _DATE.sub("⟨t⟩", text)
    text = _COUNTER_TIME.sub("⟨t⟩", text)
    return _ADDRESS.sub(_numbered(), text)


def _numbered() -> Callable[[re.Match[str]], str]:
    seen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return seen.setdefault(found[0].removeprefix("0x"), f"⟨a{len(seen) + 1}⟩")

    return name
