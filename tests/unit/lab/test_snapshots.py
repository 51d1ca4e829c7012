# SPDX-License-Identifier: MIT
"""Fallbacks when a fork, or the snapshot it needs, is unavailable."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vmlab.errors import AssetError, BuildError, HostError, MachineLost, VmlabError
from vmlab.guest.fork_check import ForkUnproved
from vmlab.lab.freezer import Cargo, Stage
from vmlab.settings import load_settings
from vmlab.store.store import StoredObject
from vmlab.testing import FakeLab, FakeRig

from .scripted import SNAPSHOT, TARGET, Script, ScriptedTestbed


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def testbed(tmp_path: Path, script: Script, notices: list[str]) -> ScriptedTestbed:
    settings = load_settings({"store": str(tmp_path / "store")}, directory=tmp_path, environment={})
    lab = FakeLab(settings, notice=notices.append)
    return ScriptedTestbed(lab, FakeRig(lab, TARGET), script)


def test_a_fork_is_what_one_gets(testbed: ScriptedTestbed, script: Script, notices: list[str]) -> None:
    assert testbed.start(Stage.LOADED) == "fork by tcg"
    assert script.done == ["obtain loaded", "fork"]
    assert notices == []


@pytest.mark.parametrize("fault", [ForkUnproved("another boot"), MachineLost("no answer"), AssetError("no state")])
def test_a_fork_that_is_wrong_is_replaced_by_a_boot_of_the_same_stage_and_said(
    testbed: ScriptedTestbed, script: Script, notices: list[str], fault: VmlabError
) -> None:
    script.forks = [fault]
    assert testbed.start(Stage.BUILT) == "boot by tcg"
    assert script.done == ["obtain built", "fork", "boot"]
    assert notices == [f"debian12-6.1: a fork was discarded and replaced by a boot: {fault.message}"]


def test_forks_that_are_wrong_twice_in_a_row_are_not_tried_again(testbed: ScriptedTestbed, script: Script) -> None:
    script.forks = [ForkUnproved("another boot"), ForkUnproved("another boot")]
    assert [testbed.start() for _ in range(4)] == ["boot by tcg"] * 4
    assert script.done.count("fork") == 2


def test_a_fork_that_is_right_makes_good_for_one_that_was_wrong(testbed: ScriptedTestbed, script: Script) -> None:
    wrong = ForkUnproved("another boot")
    script.forks = [wrong]
    assert [testbed.start(), testbed.start()] == ["boot by tcg", "fork by tcg"]
    script.forks = [wrong]
    assert [testbed.start(), testbed.start()] == ["boot by tcg", "fork by tcg"]


def test_a_wrong_forks_snapshot_is_thrown_away(
    testbed: ScriptedTestbed, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[StoredObject] = []
    monkeypatch.setattr(testbed.run.store, "remove", removed.append)
    script.forks = [ForkUnproved("another boot")]
    testbed.start()
    assert removed == [SNAPSHOT]


def test_a_host_without_room_for_snapshots_boots_and_says_so_once(
    testbed: ScriptedTestbed, script: Script, notices: list[str]
) -> None:
    script.snapshots = [HostError("no space left for a snapshot")]
    assert [testbed.start(), testbed.start()] == ["boot by tcg", "boot by tcg"]
    assert script.done.count("obtain ready") == 1
    assert len(notices) == 1
    assert "no space left for a snapshot" in notices[0]


def test_an_earlier_snapshot_that_is_wrong_costs_a_boot_too(
    testbed: ScriptedTestbed, script: Script, notices: list[str]
) -> None:
    script.snapshots = [ForkUnproved("another boot")]
    assert [testbed.start(Stage.LOADED), testbed.start(Stage.LOADED)] == ["boot by tcg", "fork by tcg"]
    assert notices == ["debian12-6.1: a fork was discarded and replaced by a boot: another boot"]


def test_a_host_without_room_for_a_fork_is_an_error(testbed: ScriptedTestbed, script: Script) -> None:
    script.forks = [HostError("not enough memory")]
    with pytest.raises(HostError, match="not enough memory"):
        testbed.start()


def test_a_module_that_does_not_build_fails_each_test_and_is_built_once(
    testbed: ScriptedTestbed, script: Script
) -> None:
    script.snapshots = [BuildError("it does not build")]
    for _ in range(3):
        with pytest.raises(BuildError, match="it does not build"):
            testbed.start(Stage.LOADED)
    assert script.done == ["obtain loaded"]
    assert testbed.start(Stage.READY) == "fork by tcg"


def test_a_guest_lost_while_it_is_made_ready_is_tried_once_more_and_said(
    testbed: ScriptedTestbed, script: Script, notices: list[str]
) -> None:
    script.snapshots = [MachineLost("it panicked")]
    assert testbed.start() == "fork by tcg"
    assert "it panicked" in notices[0]


def test_guests_that_are_lost_twice_over_it_are_not_booted_for_every_test(
    testbed: ScriptedTestbed, script: Script
) -> None:
    script.snapshots = [MachineLost("it panicked"), MachineLost("it panicked again")]
    for _ in range(3):
        with pytest.raises(MachineLost, match="it panicked again"):
            testbed.start()
    assert script.done == ["obtain ready"] * 2


def test_a_notice_of_an_error_that_names_the_target_does_not_name_it_twice(
    testbed: ScriptedTestbed, script: Script, notices: list[str]
) -> None:
    script.snapshots = [MachineLost(f"{TARGET.id}: the guest was lost"), HostError(f"{TARGET.id}: no space left")]

    testbed.start()

    assert notices == [
        f"{TARGET.id}: a guest was lost while it was made ready, and retried: the guest was lost",
        f"{TARGET.id}: guests are booted, because no snapshot can be made: no space left",
    ]


def test_other_keys_make_another_snapshot(testbed: ScriptedTestbed) -> None:
    """The guest in it has received them."""
    before = testbed.freezer.inputs(Cargo())

    shutil.rmtree(testbed.run.store.root / "keys")

    after = testbed.freezer.inputs(Cargo())
    assert {name for name in before if before[name] != after[name]} == {"keys"}
