# SPDX-License-Identifier: MIT
"""Reason of a failed command: the last informative line of its output. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmlab.text import lines_of, one_line

# Lines that follow an error message without information.
_AFTERWORDS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[\W_]*$",
        r"\++ ",  # set -x
        r"(?:Try|See|Run|Use) .*(?:--?help|\bfor (?:more )?(?:information|details|help)|\bhelp\b|journalctl)",
        r"(?:For more|Hint: )",
        r"compilation terminated\.?$",
        r"\d+ (?:errors?|warnings?)(?: and \d+ \w+)? generated\.?$",
        r"collect2: error: ld returned",
        r"make(?:\[\d+\])?: (?:\*\*\* \[|\*\*\* Waiting for|Entering|Leaving)",
        r"\d+\+\d+ records (?:in|out)$",
        r"\d+ bytes .*copied",
        r"\S+: (?:Exiting with failure status due to previous errors|Error is not recoverable: exiting now)$",
        r"sudo: unable to resolve host ",
        r"\S+: (?:cannot set terminal process group|no job control in this shell)",
        r"Connection to \S+ closed\.?$",
    )
)
_WARNING = re.compile(r"(?:W:|warning\b|.*\bwarning: )", re.IGNORECASE)


_LAST_CHARACTERS = 100_000
"""Number of characters of a stream that are examined: the last line of 16 MB is among them."""


def last_words(stderr: str, stdout: str) -> str:
    """Last informative line of standard error, else of standard output; empty when nothing was printed."""
    complaints, output = _printed(stderr), _printed(stdout)
    ranked = (_telling(complaints), _telling(output), complaints, output)
    return next((one_line(lines[-1]) for lines in ranked if lines), "")


def with_words(message: str, stderr: str, stdout: str) -> str:
    """Append the last informative line of a command's output to a message about it."""
    words = last_words(stderr, stdout)
    return f"{message}: {words}" if words else message


def _printed(text: str) -> list[str]:
    return [line for line in lines_of(text[-_LAST_CHARACTERS:]) if line.strip()]


def _telling(lines: Sequence[str]) -> list[str]:
    telling = [line for line in lines if not any(pattern.match(line.strip()) for pattern in _AFTERWORDS)]
    return [line for line in telling if not _WARNING.match(line.strip())] or telling
