# SPDX-License-Identifier: MIT
"""What is done when a fork, or the snapshot it needs, cannot be had."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from unit import fakes
from vmlab.catalogue.target import Target
from vmlab.errors import AssetError, BuildError, HostError, MachineLost, VmlabError
from vmlab.guest.fork_check import ForkUnproved
from vmlab.lab.lab import Lab, Running
from vmlab.lab.snapshots import Forks, Stage
from vmlab.settings import load_settings
from vmlab.store.store import StoredObject

TARGET = fakes.target("debian12-6.1")
_SNAPSHOT = StoredObject(
    kind="snapshot", digest="0" * 20, path=Path("none"), inputs={}, facts={}, created=0.0, size_bytes=0, seal=""
)


class _Forks(Forks):
    """Real decisions about forks and snapshots that end as the test says."""

    def __init__(self, lab: Lab) -> None:
        super().__init__(lab)
        self.fork_faults: list[VmlabError] = []
        self.snapshot_faults: list[VmlabError] = []
        self.done: list[str] = []

    def _obtain_once(self, target: Target, stage: Stage) -> StoredObject:
        self.done.append(f"obtain {stage}")
        if self.snapshot_faults:
            raise self.snapshot_faults.pop(0)
        return _SNAPSHOT

    @contextlib.contextmanager
    def _fork(self, target: Target, snapshot: StoredObject) -> Iterator[Running]:
        self.done.append("fork")
        if self.fork_faults:
            raise self.fork_faults.pop(0)
        yield cast("Running", "fork")

    @contextlib.contextmanager
    def booted(self, target: Target, stage: Stage = Stage.READY) -> Iterator[Running]:
        self.done.append(f"boot {stage}")
        yield cast("Running", "boot")

    def start(self, stage: Stage = Stage.READY) -> str:
        with self.fork(TARGET, stage) as running:
            return str(running)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notices: list[str]) -> _Forks:
    settings = load_settings({"store": str(tmp_path / "store")}, directory=tmp_path, environment={})
    lab = Lab(settings, notice=notices.append)
    monkeypatch.setattr(lab, "image", lambda _: None)
    monkeypatch.setattr(lab, "learn_discarded_fork", lambda target, why: notices.append(f"{target.id}: {why}"))
    return _Forks(lab)


def test_a_fork_is_what_one_gets(forks: _Forks, notices: list[str]) -> None:
    assert forks.start(Stage.LOADED) == "fork"
    assert forks.done == ["obtain loaded", "fork"]
    assert notices == []


@pytest.mark.parametrize("fault", [ForkUnproved("another boot"), MachineLost("no answer"), AssetError("no state")])
def test_a_fork_that_is_wrong_is_replaced_by_a_boot_of_the_same_stage_and_said(
    forks: _Forks, notices: list[str], fault: VmlabError
) -> None:
    forks.fork_faults = [fault]
    assert forks.start(Stage.BUILT) == "boot"
    assert forks.done == ["obtain built", "fork", "boot built"]
    assert notices == [f"debian12-6.1: {fault.message}"]


def test_forks_that_are_wrong_twice_in_a_row_are_not_tried_again(forks: _Forks) -> None:
    forks.fork_faults = [ForkUnproved("another boot"), ForkUnproved("another boot")]
    assert [forks.start() for _ in range(4)] == ["boot"] * 4
    assert forks.done.count("fork") == 2


def test_a_fork_that_is_right_makes_good_for_one_that_was_wrong(forks: _Forks) -> None:
    wrong = ForkUnproved("another boot")
    forks.fork_faults = [wrong]
    assert [forks.start(), forks.start()] == ["boot", "fork"]
    forks.fork_faults = [wrong]
    assert [forks.start(), forks.start()] == ["boot", "fork"]


def test_a_wrong_forks_snapshot_is_thrown_away(forks: _Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    removed: list[StoredObject] = []
    monkeypatch.setattr(forks.lab.store, "remove", removed.append)
    forks.fork_faults = [ForkUnproved("another boot")]
    forks.start()
    assert removed == [_SNAPSHOT]


def test_a_host_without_room_for_snapshots_boots_and_says_so_once(forks: _Forks, notices: list[str]) -> None:
    forks.snapshot_faults = [HostError("no space left for a snapshot")]
    assert [forks.start(), forks.start()] == ["boot", "boot"]
    assert forks.done.count("obtain ready") == 1
    assert len(notices) == 1
    assert "no space left for a snapshot" in notices[0]


def test_an_earlier_snapshot_that_is_wrong_costs_a_boot_too(forks: _Forks, notices: list[str]) -> None:
    forks.snapshot_faults = [ForkUnproved("another boot")]
    assert [forks.start(Stage.LOADED), forks.start(Stage.LOADED)] == ["boot", "fork"]
    assert notices == ["debian12-6.1: another boot"]


def test_a_host_without_room_for_a_fork_is_an_error(forks: _Forks) -> None:
    forks.fork_faults = [HostError("not enough memory")]
    with pytest.raises(HostError, match="not enough memory"):
        forks.start()


def test_a_module_that_does_not_build_fails_each_test_and_is_built_once(forks: _Forks) -> None:
    forks.snapshot_faults = [BuildError("it does not build")]
    for _ in range(3):
        with pytest.raises(BuildError, match="it does not build"):
            forks.start(Stage.LOADED)
    assert forks.done == ["obtain loaded"]
    assert forks.start(Stage.READY) == "fork"


def test_a_guest_lost_while_it_is_made_ready_is_tried_once_more_and_said(forks: _Forks, notices: list[str]) -> None:
    forks.snapshot_faults = [MachineLost("it panicked")]
    assert forks.start() == "fork"
    assert "it panicked" in notices[0]


def test_guests_that_are_lost_twice_over_it_are_not_booted_for_every_test(forks: _Forks) -> None:
    forks.snapshot_faults = [MachineLost("it panicked"), MachineLost("it panicked again")]
    for _ in range(3):
        with pytest.raises(MachineLost, match="it panicked again"):
            forks.start()
    assert forks.done == ["obtain ready"] * 2


def test_a_notice_of_an_error_that_names_the_target_does_not_name_it_twice(forks: _Forks, notices: list[str]) -> None:
    forks.snapshot_faults = [MachineLost(f"{TARGET.id}: the guest was lost"), HostError(f"{TARGET.id}: no space left")]

    forks.start()

    assert notices == [
        f"{TARGET.id}: a guest was lost while it was made ready, and tried again: the guest was lost",
        f"{TARGET.id}: guests are booted, since no snapshot can be made: no space left",
    ]
