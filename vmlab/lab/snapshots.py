# SPDX-License-Identifier: MIT
"""Forks of frozen guests: a fresh kernel for every test, for a second instead of a boot."""

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
    """One target's snapshots: tells a failed fork from a failed module, and gives up what fails twice in a row.

    A target whose forks were given up has its guests booted, and the run says so.
    """

    def __init__(self, rig: Rig, freezer: Freezer) -> None:
        self._rig = rig
        self._freezer = freezer
        self._failures = 0
        self._faults: defaultdict[Stage, LastingFault] = defaultdict(lambda: LastingFault(ModuleError, MachineLost))

    @contextlib.contextmanager
    def fork(self, cargo: Cargo) -> Iterator[Running | None]:
        """A fork of the target's snapshot with a cargo, for the length of a `with` block; None when it has to be
        booted instead.

        Costs a second or two under TCG, and the making of the snapshot the first time. Raises `ModuleError` when the
        module does not load, and `MachineLost` when two guests were lost over the snapshot, each time.
        """
        accelerators = self._rig.run.accelerators
        with contextlib.ExitStack() as stack:
            # A snapshot of a guest under KVM is no emulated one's: when KVM is lost, another is made.
            yield accelerators.despite_loss(lambda: self._try_fork(cargo, stack))

    def _try_fork(self, cargo: Cargo, stack: contextlib.ExitStack) -> Running | None:
        if self._failures >= _MOST_FAILURES:
            return None
        try:
            snapshot = self.obtain(cargo)
        except KvmRefused:
            raise
        except HostError as error:
            self._failures = _MOST_FAILURES
            what = "guests are booted, since no snapshot can be made"
            self._rig.run.context.tell(self._rig.target.id, what, error.message)
            return None
        except UNUSABLE as error:
            self._give_up(error)
            return None
        try:
            running = stack.enter_context(self._freezer.resume(snapshot))
        except (*UNUSABLE, MachineLost) as error:
            # Made anew it may be better; held by another run it stays for that one.
            self._rig.run.store.remove(snapshot)
            self._give_up(error)
            return None
        self._failures = 0
        return running

    def _give_up(self, error: VmlabError) -> None:
        self._failures += 1
        self._rig.learn_discarded_fork(error.message)

    def obtain(self, cargo: Cargo) -> StoredObject:
        """The snapshot with a cargo, from the store or made now; a guest that is lost over it is retried once.

        Raises `ModuleError` when the module does not load and `MachineLost` when two guests were lost, each time it is
        asked for; `HostError` when there is no room.
        """
        context, name = self._rig.run.context, self._rig.target.id
        what = "a guest was lost while it was made ready"
        return self._faults[cargo.stage].guard(
            lambda: context.retry_lost(name, what, lambda: self._freezer.obtain(cargo))
        )
