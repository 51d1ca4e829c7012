# SPDX-License-Identifier: MIT
"""A run that is stopped before its end: which tests it was in, and what is not known of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest


class Unfinished:
    """Tests that began and have no outcome yet, and how the run was stopped, if it was."""

    def __init__(self) -> None:
        self._spent_s: dict[str, float] = {}
        self._why: str | None = None

    def begin(self, nodeid: str) -> None:
        """A test begins; what its phases take is told with `spend`."""
        self._spent_s[nodeid] = 0.0

    def spend(self, nodeid: str, duration_s: float) -> None:
        """A phase of a test went well, and says nothing yet of how the test ends."""
        self._spent_s[nodeid] = self._spent_s.get(nodeid, 0.0) + duration_s

    def end(self, nodeid: str) -> float:
        """A test has an outcome, or needs none any more; returns the seconds of its phases before."""
        return self._spent_s.pop(nodeid, 0.0)

    def stop(self, error: BaseException) -> None:
        """The run is stopped by this: a Ctrl-C says nothing more."""
        self._why = " ".join(str(error).split())

    def tests(self) -> dict[str, float]:
        """The tests that the run was stopped in, with the seconds of their phases before."""
        return dict(self._spent_s) if self._why is not None else {}

    def notice(self, session: pytest.Session, told: Collection[str], is_ours: Callable[[str], bool]) -> str:
        """One line that says that the run is not whole; empty for one that is.

        `told` are the node ids of tests with an outcome, `is_ours` tells those that have to have one.
        """
        # pytest has another word for a run that ends with its first failure (-x) than for one that is interrupted.
        why = self._why if self._why is not None else str(session.shouldfail or session.shouldstop or "")
        if self._why is None and not why:
            return ""
        expected = [nodeid for nodeid in collected(session) if is_ours(nodeid)]
        untold = sum(nodeid not in told for nodeid in expected)
        if expected and not untold:
            return ""
        what = f"the run was interrupted ({why})" if why else "the run was interrupted"
        of = f": {untold} of its {len(expected)} tests with a guest did not end" if expected else ""
        return f"{what} and is not whole{of}"


def collected(session: pytest.Session) -> list[str]:
    """The node ids of all tests of a run, also on xdist's controller; none while it does not know them yet."""
    distribution: Any = session.config.pluginmanager.get_plugin("dsession")
    if distribution is not None:
        return list(getattr(getattr(distribution, "sched", None), "collection", None) or [])
    return [item.nodeid for item in session.items]
