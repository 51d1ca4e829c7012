# SPDX-License-Identifier: MIT
"""Scheduler for pytest-xdist: all tests of a target go to one worker, so that each target is booted once.

xdist's `loadgroup` silently stopped grouping with pytest 9.2 (pytest-dev/pytest-xdist#1386); this scheduler uses the
node ids and does not change them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from vmlab.host.facts import available_memory_mib
from vmlab.machine.machine import FORK_MIB, QEMU_MIB
from vmlab.plugin.node_ids import target_of, target_pattern


class TargetScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Assigns whole targets, to at most `most_workers` workers, as many as have room for their guests. Tests without a
    guest are grouped by module."""

    def __init__(self, config: pytest.Config, log: Any, target_ids: Iterable[str], *, most_workers: int) -> None:
        super().__init__(config, log)
        self._target = target_pattern(target_ids)
        self._most_workers = most_workers

    def schedule(self) -> None:
        """Assign the tests; called again after a new worker has replaced a crashed one."""
        is_first = self.collection is None
        while is_first and len(self.assigned_work) > self._most_workers and self._has_guests():
            unused, _ = self.assigned_work.popitem()
            unused.shutdown()
        super().schedule()
        if not is_first:
            # A worker starts a test only when it has the next one or the end signal: a single test would never run.
            for node in self.nodes:
                self._reschedule(node)

    def _has_guests(self) -> bool:
        """True if any test has a target: a project that names targets also has runs without guests."""
        return any(target_of(test, self._target) for tests in self.registered_collections.values() for test in tests)

    def remove_node(self, node: Any) -> str | None:
        """Reassign a worker's unfinished tests; the one that it crashed in is not run again."""
        workload: dict[str, dict[str, bool]] = self.assigned_work[node]
        crashed = next((test for unit in workload.values() for test, is_done in unit.items() if not is_done), None)
        for scope, unit in list(workload.items()):
            if crashed in unit:
                unit[crashed] = True
            if all(unit.values()):
                # A worker that gets a finished unit reports nothing, and so gets no further work.
                del workload[scope]
        super().remove_node(node)
        return crashed

    def _reschedule(self, node: Any) -> None:
        # The replacement of a crashed worker is a node before it has collected; `schedule` is called after that.
        if node in self.registered_collections:
            super()._reschedule(node)

    def _split_scope(self, nodeid: str) -> str:
        scope: str = target_of(nodeid, self._target) or super()._split_scope(nodeid)
        return scope


def workers_that_fit(*, targets: int, memory_mib: int) -> int:
    """Return the number of workers for `-n auto`: the least of targets, cores and workers that fit into free memory."""
    return max(1, min(targets, len(os.sched_getaffinity(0)), workers_with_room(memory_mib)))


def workers_with_room(memory_mib: int) -> int:
    """Return the number of workers that fit into free memory: each may boot a guest beside its shared fork."""
    return max(1, available_memory_mib() // (memory_mib + QEMU_MIB + FORK_MIB))
