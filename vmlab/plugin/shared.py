# SPDX-License-Identifier: MIT
"""One guest per target that tests share, replaced by a new fork when it is dirty."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from vmlab.errors import MachineLost, ModuleError, VmlabError, hides_frames
from vmlab.lab.freezer import Stage
from vmlab.lab.machines import Running
from vmlab.lab.testbed import Testbed
from vmlab.system.once import LastingFault

__tracebackhide__ = hides_frames

_MOST_GUESTS = 4


class GivenUp(VmlabError):
    """The target's guest broke several times: its remaining tests are not run."""


class SharedGuest:
    """Forks a guest on first use, and again each time it is marked dirty, up to `_MOST_GUESTS` times."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._stack = contextlib.ExitStack()
        self._running: Running | None = None
        self._dirt = ""
        self._first_dirt = ""
        self._guests = 0
        self._fault = LastingFault(VmlabError, except_for=(MachineLost, ModuleError))

    def get(self, stage: Stage = Stage.READY) -> Running:
        """Return a clean guest; the first call and each call after a fault cost a fork from the snapshot of that stage.

        Raises `GivenUp` after several faults. A lasting error of the first start is raised again: a failed image build
        is not retried for each test.
        """
        if self._running is None or self._dirt:
            self.close()
            self._running = self._fault.guard(lambda: self._start(stage))
        return self._running

    def _start(self, stage: Stage) -> Running:
        if self._guests == _MOST_GUESTS:
            name = self._testbed.target.id
            raise GivenUp(f"{name} was given up: its guest broke {_MOST_GUESTS} times; first: {self._first_dirt}")
        self._guests += 1
        try:
            return self._stack.enter_context(self._testbed.fork(stage))
        except MachineLost as lost:
            self.mark_dirty(lost.message)
            raise
        except ModuleError:
            # Affects only tests that use the module: the others can still fork a guest.
            self._guests -= 1
            raise

    def mark_dirty(self, why: str, *, is_meant: bool = False) -> None:
        """Replace this guest before the next test. `is_meant` marks an expected report, which does not count as a fault
        of the target."""
        if is_meant and not self._dirt:
            self._guests -= 1
        elif not is_meant:
            self._first_dirt = self._first_dirt or why
        self._dirt = why

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """Stop the guest's processors during a `with` block, if there is a clean guest."""
        if self._running is None or self._dirt:
            yield
            return
        machine = self._running.machine
        try:
            machine.monitor.execute("stop")
        except MachineLost as lost:
            # Not a failure of the waiting test: the next test gets a new fork.
            self.mark_dirty(lost.message)
            yield
            return
        try:
            yield
        finally:
            try:
                machine.monitor.execute("cont")
            except MachineLost as lost:
                self.mark_dirty(lost.message)

    def close(self) -> None:
        """Stop the guest."""
        self._running = None
        self._dirt = ""
        self._stack.close()
