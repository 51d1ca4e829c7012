# SPDX-License-Identifier: MIT
"""pytest-xdist: all tests of a target go to one worker, so that each target is booted once.

xdist's own `loadgroup` would do, but silently stopped grouping with pytest 9.2 (pytest-dev/pytest-xdist#1386);
this scheduler goes by the node ids, and leaves them as they are.
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
    """Hands out whole targets, to no more workers than have room for their guests; tests without a guest go by their
    module."""

    def __init__(self, config: pytest.Config, log: Any, target_ids: Iterable[str], *, most_workers: int) -> None:
        super().__init__(config, log)
        self._target = target_pattern(target_ids)
        self._most_workers = most_workers

    def schedule(self) -> None:
        """Hand out what there is; called again when a new worker has taken a crashed one's place."""
        is_first = self.collection is None
        while is_first and len(self.assigned_work) > self._most_workers and self._has_guests():
            unused, _ = self.assigned_work.popitem()
            unused.shutdown()
        super().schedule()
        if not is_first:
            # A worker runs a test when it knows of another, or of the end: a single one would wait for ever.
            for node in self.nodes:
                self._reschedule(node)

    def _has_guests(self) -> bool:
        """Whether any test has a target: a project that names some has runs without guests as well."""
        return any(target_of(test, self._target) for tests in self.registered_collections.values() for test in tests)

    def remove_node(self, node: Any) -> str | None:
        """Take a worker's unfinished tests back; the one that it crashed in is not given out again."""
        workload: dict[str, dict[str, bool]] = self.assigned_work[node]
        crashed = next((test for unit in workload.values() for test, is_done in unit.items() if not is_done), None)
        for scope, unit in list(workload.items()):
            if crashed in unit:
                unit[crashed] = True
            if all(unit.values()):
                # Handed out, it would leave its worker without anything to report, and so without further work.
                del workload[scope]
        super().remove_node(node)
        return crashed

    def _reschedule(self, node: Any) -> None:
        # A crashed worker's successor is a node before it has collected; `schedule` is called when it has.
        if node in self.registered_collections:
            super()._reschedule(node)

    def _split_scope(self, nodeid: str) -> str:
        scope: str = target_of(nodeid, self._target) or super()._split_scope(nodeid)
        return scope


def workers_that_fit(*, targets: int, memory_mib: int) -> int:
    """How many workers `-n auto` starts: one a target, a core, and what the free memory holds."""
    return max(1, min(targets, len(os.sched_getaffinity(0)), workers_with_room(memory_mib)))


def workers_with_room(memory_mib: int) -> int:
    """How many workers' guests the free memory holds: each may boot one beside its shared fork."""
    return max(1, available_memory_mib() // (memory_mib + QEMU_MIB + FORK_MIB))
