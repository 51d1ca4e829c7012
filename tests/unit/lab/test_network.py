# SPDX-License-Identifier: MIT
"""Guests with a network: those that ask for one, by a word or a setting, and no guest that is frozen or builds."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmlab.errors import MachineLost
from vmlab.guest.fork_check import ForkUnproved
from vmlab.lab.freezer import Cargo, Freezer
from vmlab.lab.machines import Machines, Running
from vmlab.machine.snapshot import Origin
from vmlab.settings import load_settings
from vmlab.testing import FakeLab, FakeRig

from .scripted import TARGET, Script, ScriptedTestbed


class RefusingMachines(Machines):
    """Loses each boot, and records whether it would have had a network."""

    asked: list[bool]

    @contextlib.contextmanager
    def boot(self, origin: Origin | None = None, *, has_network: bool = False) -> Iterator[Running]:
        self.asked = [has_network]
        raise MachineLost("as always")
        yield


def _testbed(directory: Path, script: Script, network: str) -> ScriptedTestbed:
    given = {"store": str(directory / "store"), "accel": "tcg", "build": "guest", "network": network}
    lab = FakeLab(load_settings(given, directory=directory, environment={}))
    return ScriptedTestbed(lab, FakeRig(lab, TARGET), script)


_CASES = {
    "no word": ("no", None, False),
    "asked for": ("no", True, True),
    "by the setting": ("yes", None, True),
    "refused despite the setting": ("yes", False, False),
}


@pytest.mark.parametrize(("setting", "asked", "has_network"), _CASES.values(), ids=_CASES)
def test_forks_and_boots_have_a_network_if_asked(
    tmp_path: Path, setting: str, asked: bool | None, has_network: bool
) -> None:
    testbed = _testbed(tmp_path, Script(), setting)

    with testbed.fork(has_network=asked) as forked, testbed.boot(has_network=asked) as booted:
        assert (forked.machine.has_network, booted.machine.has_network) == (has_network, has_network)


def test_a_boot_that_replaces_a_fork_has_the_forks_network(tmp_path: Path) -> None:
    script = Script()
    script.forks = [ForkUnproved("another boot")]

    with _testbed(tmp_path, script, "no").fork(has_network=True) as running:
        assert (running.is_fork, running.machine.has_network) == (False, True)


def test_a_guest_that_builds_has_no_network_whatever_the_setting(tmp_path: Path) -> None:
    script = Script()

    with _testbed(tmp_path, script, "yes").place():
        assert script.done == ["obtain ready", "fork"]


def test_a_guest_that_is_frozen_has_no_network_whatever_the_setting(tmp_path: Path) -> None:
    rig = _testbed(tmp_path, Script(), "yes").rig
    machines = RefusingMachines(rig)

    with pytest.raises(MachineLost):
        Freezer(rig, machines).obtain(Cargo())

    assert machines.asked == [False]
