# SPDX-License-Identifier: MIT
"""A test that its emulator broke is run once more, in a fresh fork; the first attempt has no outcome of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from _pytest.runner import runtestprotocol  # what pytest-rerunfailures uses too: pytest has no public way

RERUN = "rerun"
_IS_DISCOUNTED = pytest.StashKey[bool]()
"""True from the attempt that was taken out of the counts until the next begins, False from then on."""


def discount(item: pytest.Item, report: pytest.TestReport) -> bool:
    """Take a test's first attempt out of the counts; False, and nothing done, for the second."""
    if item.stash.setdefault(_IS_DISCOUNTED, True):
        report.outcome = RERUN  # type: ignore[assignment]  # neither passed, failed nor skipped
    return item.stash[_IS_DISCOUNTED]


def run_again(item: pytest.Item, nextitem: pytest.Item | None, *, forget: Callable[[pytest.Item], None]) -> None:
    """Run a test's protocol once more if its first attempt was taken out of the counts; its fixtures are set up anew.

    `forget` drops what is remembered of the first attempt.
    """
    if not item.stash.get(_IS_DISCOUNTED, False):
        return
    forget(item)
    item.stash[_IS_DISCOUNTED] = False
    item.user_properties.clear()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    runtestprotocol(item, nextitem=nextitem)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
