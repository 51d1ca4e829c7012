# SPDX-License-Identifier: MIT
"""Each new step is shown once; on a terminal a step's latest text replaces the previous one."""

from __future__ import annotations

import pytest

from vmlab.system.progress import Progress

_TEXTS = ["a: fetching: 1 %", "a: fetching: 2 %", "a: fetching: 3 %", "a: verifying", "b: verifying"]


def test_a_log_has_a_line_a_step() -> None:
    shown: list[tuple[str, bool]] = []
    say = Progress(lambda *row: shown.append(row), is_terminal=lambda: False)

    for text in _TEXTS:
        say(text)

    assert shown == [("a: fetching", False), ("a: verifying", False), ("b: verifying", False)]


def test_a_terminal_has_a_steps_latest_text_a_few_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.1, 0.4, 0.4, 0.5, 0.6])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    shown: list[tuple[str, bool]] = []
    say = Progress(lambda *row: shown.append(row), is_terminal=lambda: True)

    for text in _TEXTS:
        say(text)

    assert shown == [(_TEXTS[0], False), (_TEXTS[2], True), (_TEXTS[3], False), (_TEXTS[4], False)]
