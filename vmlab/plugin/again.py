# SPDX-License-Identifier: MIT
"""One retry, in a fresh fork, of a test that failed by an emulator fault; the first attempt has no outcome."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from _pytest.runner import runtestprotocol  # pytest has no public API; pytest-rerunfailures uses this too

RERUN = "rerun"
_IS_DISCOUNTED = pytest.StashKey[bool]()
"""True from the discounted attempt until the retry begins, False afterwards."""


def discount(item: pytest.Item, report: pytest.TestReport) -> bool:
    """Remove a test's first attempt from the counts; return False, without effect, for the retry."""
    if item.stash.setdefault(_IS_DISCOUNTED, True):
        report.outcome = RERUN  # type: ignore[assignment]  # neither passed, failed nor skipped
    return item.stash[_IS_DISCOUNTED]


def run_again(item: pytest.Item, nextitem: pytest.Item | None, *, forget: Callable[[pytest.Item], None]) -> None:
    """Retry a test whose first attempt was discounted, with new fixtures.

    `forget` drops the recorded state of the first attempt.
    """
    if not item.stash.get(_IS_DISCOUNTED, False):
        return
    forget(item)
    item.stash[_IS_DISCOUNTED] = False
    item.user_properties.clear()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
