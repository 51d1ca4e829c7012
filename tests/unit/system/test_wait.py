# SPDX-License-Identifier: MIT
"""The one loop that sleeps: it returns the awaited value, or reports the last observation."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from vmlab.errors import MachineLost
from vmlab.system.wait import wait_until


def _answers() -> Iterator[str | None]:
    yield None
    yield ""
    yield "up"


def test_the_first_true_value_is_returned() -> None:
    answers = _answers()
    assert wait_until(lambda: next(answers), timeout_s=5, describe="it", interval_s=0.001) == "up"


def test_a_condition_that_holds_is_not_waited_for() -> None:
    started = time.monotonic()
    assert wait_until(lambda: 1, timeout_s=5, describe="it", interval_s=3) == 1
    assert time.monotonic() - started < 2


def test_giving_up_tells_what_was_awaited_what_was_seen_and_the_evidence() -> None:
    with pytest.raises(MachineLost) as caught:
        wait_until(
            lambda: None,
            timeout_s=0.01,
            describe="the guest's SSH to answer",
            interval_s=0.005,
            evidence=lambda: "console: panic",
            last_seen=lambda: "connection refused",
        )
    assert "gave up waiting for the guest's SSH to answer after 0 s" in caught.value.message
    assert "last seen: connection refused" in caught.value.message
    assert caught.value.detail == "console: panic"


def test_the_condition_is_tried_at_least_once_even_without_time() -> None:
    assert wait_until(lambda: "x", timeout_s=0, describe="it") == "x"


def test_what_the_condition_raises_passes_through() -> None:
    def fails() -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        wait_until(fails, timeout_s=1, describe="it")
