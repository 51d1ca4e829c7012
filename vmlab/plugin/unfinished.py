# SPDX-License-Identifier: MIT
"""A run that is stopped before its end: its unfinished tests and the notice about them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest


class Unfinished:
    """Tests that began and have no outcome yet, and the reason why the run was stopped."""

    def __init__(self) -> None:
        self._spent_s: dict[str, float] = {}
        self._why: str | None = None

    def begin(self, nodeid: str) -> None:
        """Record the start of a test; `spend` adds the durations of its phases."""
        self._spent_s[nodeid] = 0.0

    def spend(self, nodeid: str, duration_s: float) -> None:
        """Add the duration of a phase that passed and does not decide the test's outcome."""
        self._spent_s[nodeid] = self._spent_s.get(nodeid, 0.0) + duration_s

    def end(self, nodeid: str) -> float:
        """Drop a test that has an outcome or needs none; return the seconds of its earlier phases."""
        return self._spent_s.pop(nodeid, 0.0)

    def stop(self, error: BaseException) -> None:
        """Record the error that stops the run; the text of a Ctrl-C is empty."""
        self._why = " ".join(str(error).split())

    def tests(self) -> dict[str, float]:
        """Return the tests that the stop interrupted, with the seconds of their earlier phases."""
        return dict(self._spent_s) if self._why is not None else {}

    def notice(self, session: pytest.Session, told: Collection[str], is_ours: Callable[[str], bool]) -> str:
        """Return a line that says that the run is incomplete; an empty string for a complete run.

        `told` are the node ids of tests with an outcome; `is_ours` is true for those that need one.
        """
        # For -x pytest sets shouldfail and does not call pytest_keyboard_interrupt.
        why = self._why if self._why is not None else str(session.shouldfail or session.shouldstop or "")
        if self._why is None and not why:
            return ""
        expected = [nodeid for nodeid in collected(session) if is_ours(nodeid)]
        untold = sum(nodeid not in told for nodeid in expected)
        if expected and not untold:
            return ""
        what = f"the run was interrupted ({why})" if why else "the run was interrupted"
        of = f": {untold} of its {len(expected)} tests with a guest did not finish" if expected else ""
        return f"{what} and is incomplete{of}"


def collected(session: pytest.Session) -> list[str]:
    """Return the node ids of all tests of a run; empty on xdist's controller until it knows them."""
    distribution: Any = session.config.pluginmanager.get_plugin("dsession")
    if distribution is not None:
        return list(getattr(getattr(distribution, "sched", None), "collection", None) or [])
    return [item.nodeid for item in session.items]
