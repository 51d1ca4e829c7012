# SPDX-License-Identifier: MIT
"""The only loop in the lab that sleeps."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from vmlab.errors import MachineLost, hides_frames

__tracebackhide__ = hides_frames

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T | None],
    *,
    timeout_s: float,
    describe: str,
    interval_s: float = 0.1,
    evidence: Callable[[], str] = lambda: "",
    last_seen: Callable[[], object] = lambda: "",
) -> T:
    """Call `condition` until it returns a true value, and return that value.

    After `timeout_s`, raises `MachineLost` with `describe`, the last observation and the evidence, such as a
    console's tail. Exceptions of `condition` propagate.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            seen = str(last_seen())
            message = f"gave up waiting for {describe} after {timeout_s:.0f} s"
            raise MachineLost(f"{message}; last seen: {seen}" if seen else message, detail=evidence())
        time.sleep(interval_s)
