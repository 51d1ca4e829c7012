# SPDX-License-Identifier: MIT
"""Forks of snapshots: a fresh kernel for every test in a second instead of a boot."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator

from vmlab.errors import HostError, KvmRefused, MachineLost, ModuleError, VmlabError, hides_frames
from vmlab.lab.freezer import UNUSABLE, Cargo, Freezer, Stage
from vmlab.lab.machines import Running
from vmlab.lab.rig import Rig
from vmlab.store.store import StoredObject
from vmlab.system.once import LastingFault

__tracebackhide__ = hides_frames

_MOST_FAILURES = 2


class Snapshots:
    """One target's snapshots. Distinguishes a failed fork from a failed module.

    After two failed forks in a row the target's guests are booted instead, with a notice.
    """

    def __init__(self, rig: Rig, freezer: Freezer) -> None:
        self._rig = rig
        self._freezer = freezer
        self._failures = 0
        self._faults: defaultdict[Stage, LastingFault] = defaultdict(lambda: LastingFault(ModuleError, MachineLost))

    @contextlib.contextmanager
    def fork(self, cargo: Cargo, *, has_network: bool = False) -> Iterator[Running | None]:
        """Yield a fork of the target's snapshot with a cargo; None if a guest must be booted instead.

        Costs 1 to 2 s under TCG, and the first time the making of the snapshot. Raises `ModuleError` if the module does
        not load, and `MachineLost` if two guests were lost while making the snapshot; both again at every later call.
        """
        accelerators = self._rig.run.accelerators
        with contextlib.ExitStack() as stack:
            # A snapshot made under KVM cannot be resumed under TCG: when KVM is lost, make another.
            yield accelerators.despite_loss(lambda: self._try_fork(cargo, stack, has_network=has_network))

    def _try_fork(self, cargo: Cargo, stack: contextlib.ExitStack, *, has_network: bool) -> Running | None:
        if self._failures >= _MOST_FAILURES:
            return None
        try:
            snapshot = self.obtain(cargo)
        except KvmRefused:
            raise
        except HostError as error:
            self._failures = _MOST_FAILURES
            what = "guests are booted, because no snapshot can be made"
            self._rig.run.context.tell(self._rig.target.id, what, error.message)
            return None
        except UNUSABLE as error:
            self._give_up(error)
            return None
        try:
            running = stack.enter_context(self._freezer.resume(snapshot, has_network=has_network))
        except (*UNUSABLE, MachineLost) as error:
            # A new snapshot may work. One that another run holds stays.
            self._rig.run.store.remove(snapshot)
            self._give_up(error)
            return None
        self._failures = 0
        return running

    def _give_up(self, error: VmlabError) -> None:
        self._failures += 1
        self._rig.learn_discarded_fork(error.message)

    def obtain(self, cargo: Cargo) -> StoredObject:
        """Return the snapshot with a cargo, from the store or newly made; retried once if a guest is lost.

        Raises `ModuleError` if the module does not load and `MachineLost` if two guests were lost, again at every later
        call; `HostError` if there is no space.
        """
        context, name = self._rig.run.context, self._rig.target.id
        what = "a guest was lost while it was made ready"
        return self._faults[cargo.stage].guard(
            lambda: context.retry_lost(name, what, lambda: self._freezer.obtain(cargo))
        )
