# SPDX-License-Identifier: MIT
"""One guest per target, used by test after test and replaced when it is not to be trusted any more."""

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
    """The target's guest broke again and again: its remaining tests are not run."""


class SharedGuest:
    """Forks when first asked for a guest, and again after the old one was marked dirty, a few times."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._stack = contextlib.ExitStack()
        self._running: Running | None = None
        self._dirt = ""
        self._first_dirt = ""
        self._guests = 0
        self._fault = LastingFault(VmlabError, except_for=(MachineLost, ModuleError))

    def get(self, stage: Stage = Stage.READY) -> Running:
        """A guest to be trusted; costs a fork the first time and after each mishap, from a snapshot of that stage.

        Raises `GivenUp` after several, and again what the first start raised: an image that cannot be built is not
        tried anew for each test.
        """
        if self._running is None or self._dirt:
            self.close()
            self._running = self._fault.guard(lambda: self._start(stage))
        return self._running

    def _start(self, stage: Stage) -> Running:
        if self._guests == _MOST_GUESTS:
            name = self._testbed.target.id
            raise GivenUp(f"{name} was given up: its guest broke {_MOST_GUESTS} times, first by: {self._first_dirt}")
        self._guests += 1
        try:
            return self._stack.enter_context(self._testbed.fork(stage))
        except MachineLost as lost:
            self.mark_dirty(lost.message)
            raise
        except ModuleError:
            # Only for tests that want the module: others may still have a guest.
            self._guests -= 1
            raise

    def mark_dirty(self, why: str, *, is_meant: bool = False) -> None:
        """Do not use this guest for another test. What a test did to it on purpose (`is_meant`) does not count against
        the target."""
        if is_meant and not self._dirt:
            self._guests -= 1
        elif not is_meant:
            self._first_dirt = self._first_dirt or why
        self._dirt = why

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """Let the guest's processors stand still for the length of a `with` block, if there is one to be trusted."""
        if self._running is None or self._dirt:
            yield
            return
        machine = self._running.machine
        try:
            machine.monitor.execute("stop")
        except MachineLost as lost:
            # Found out here, and nobody's failure: the next test gets another.
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
        """Give the guest back."""
        self._running = None
        self._dirt = ""
        self._stack.close()
