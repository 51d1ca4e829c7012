# SPDX-License-Identifier: MIT
"""pytest-xdist: all tests of a target go to one worker, so that each target is booted once.

xdist's own `loadgroup` would do, but silently stopped grouping with pytest 9.2 (pytest-dev/pytest-xdist#1386);
this scheduler goes by the node ids, and leaves them as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from vmlab.host.facts import available_memory_mib

_MEMORY_BESIDES_GUEST_MIB = 300
"""Set aside for QEMU and a worker, besides the guest's own memory: a margin, not a measurement."""


class TargetScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole targets; tests without a guest go by their module."""

    def __init__(self, config: pytest.Config, log: Any, target_ids: Iterable[str]) -> None:
        super().__init__(config, log)
        self._target = target_pattern(target_ids)

    def _split_scope(self, nodeid: str) -> str:
        match = self._target.search(nodeid[nodeid.rfind("[") :]) if "[" in nodeid else None
        scope: str = match[1] if match else super()._split_scope(nodeid)
        return scope


def target_pattern(target_ids: Iterable[str]) -> re.Pattern[str]:
    """Finds the target in a node id's brackets. Longest first: debian12-6.1 is the beginning of debian12-6.1-rt."""
    ids = "|".join(re.escape(name) for name in sorted(target_ids, key=len, reverse=True))
    return re.compile(rf"[\[-]({ids})[\]-]")


def workers_that_fit(*, targets: int, memory_mib: int) -> int:
    """How many guests may run side by side: one a target, a core, and what the free memory holds."""
    by_memory = available_memory_mib() // (memory_mib + _MEMORY_BESIDES_GUEST_MIB)
    return max(1, min(targets, len(os.sched_getaffinity(0)), by_memory))
