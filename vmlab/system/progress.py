# SPDX-License-Identifier: MIT
"""Progress display: each new step once, and on a terminal a step's latest text, a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from vmlab.text import printable

_AGAIN_S = 0.3


class Progress:
    """Receives texts such as `debian12-6.1: fetching: 12 %`; the part before the second colon is the step."""

    def __init__(self, show: Callable[[str, bool], None], *, is_terminal: Callable[[], bool]) -> None:
        """Take `show`, which gets a text, and True to replace the previous one; only a terminal gets the full text."""
        self._show = show
        self._is_terminal = is_terminal
        self._step = ""
        self._shown_at = 0.0

    def __call__(self, text: str) -> None:
        """Show a text, made printable, unless its step is shown already (on a terminal, less than 0.3 s ago)."""
        text = printable(text)
        step = ":".join(text.split(":")[:2])
        is_same, is_terminal = step == self._step, self._is_terminal()
        if is_same and (not is_terminal or time.monotonic() - self._shown_at < _AGAIN_S):
            return
        self._show(text if is_terminal else step, is_terminal and is_same)
        self._step, self._shown_at = step, time.monotonic()
