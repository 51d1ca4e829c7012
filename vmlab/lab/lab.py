# SPDX-License-Identifier: MIT
"""The lab: a run's targets and their testbeds."""

from __future__ import annotations

from functools import cached_property

from vmlab.catalogue.target import Target
from vmlab.context import Context, Say, silent
from vmlab.lab.run import Run
from vmlab.lab.testbed import Testbed
from vmlab.settings import Settings


class Lab(Run):
    """Selects targets and owns their testbeds. Cheap to make; images, boots and builds are made on first use.

    `progress` is called with each step when it begins, `notice` with each notice for the end of the run.
    """

    def __init__(self, settings: Settings, *, progress: Say = silent, notice: Say = silent) -> None:
        super().__init__(Context.of(settings, progress=progress, notice=notice))
        self._testbeds: dict[Target, Testbed] = {}

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The targets that the settings select."""
        return self.matrix.select(self.settings.target)

    def testbed(self, target: Target) -> Testbed:
        """Return the target's testbed, always the same object."""
        if target not in self._testbeds:
            self._testbeds[target] = self.make_testbed(target)
        return self._testbeds[target]

    def make_testbed(self, target: Target) -> Testbed:
        """Return a new testbed; a subclass may override it."""
        return Testbed(self, target)

    @property
    def testbeds(self) -> tuple[Testbed, ...]:
        """The testbeds made so far."""
        return tuple(self._testbeds.values())
