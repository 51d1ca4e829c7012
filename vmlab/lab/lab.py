# SPDX-License-Identifier: MIT
"""A run's targets and their testbeds: where the layers are wired together."""

from __future__ import annotations

from functools import cached_property

from vmlab.catalogue.target import Target
from vmlab.context import Context, Say, silent
from vmlab.lab.run import Run
from vmlab.lab.testbed import Testbed
from vmlab.settings import Settings


class Lab(Run):
    """Chooses targets and owns their testbeds. Cheap to make; images, boots and builds happen when asked for.

    `progress` hears each step as it begins, `notice` what the user should know at the end.
    """

    def __init__(self, settings: Settings, *, progress: Say = silent, notice: Say = silent) -> None:
        super().__init__(Context.of(settings, progress=progress, notice=notice))
        self._testbeds: dict[Target, Testbed] = {}

    @cached_property
    def targets(self) -> tuple[Target, ...]:
        """The targets that the settings choose."""
        return self.matrix.select(self.settings.target)

    def testbed(self, target: Target) -> Testbed:
        """The target's testbed, the same one each time."""
        if target not in self._testbeds:
            self._testbeds[target] = self.make_testbed(target)
        return self._testbeds[target]

    def make_testbed(self, target: Target) -> Testbed:
        """A new testbed; what a lab of another kind overrides."""
        return Testbed(self, target)

    @property
    def testbeds(self) -> tuple[Testbed, ...]:
        """Those that were asked for so far."""
        return tuple(self._testbeds.values())
