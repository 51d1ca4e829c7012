# SPDX-License-Identifier: MIT
"""Several processes share one store: one builds while the others wait, and a killed builder blocks nobody."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.store.store import Store
from vmlab.system.files import replace_file
from vmlab.system.wait import wait_until

_FORK = multiprocessing.get_context("fork")
_INPUTS = {"kernel": "6.1"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _obtain(store: Store, journal: Path, name: str) -> None:
    def build(work: Path) -> Mapping[str, Any]:
        with journal.open("a") as stream:
            stream.write(f"{name} builds\n")
        time.sleep(0.3)
        (work / "disk").write_text(name)
        return {"builder": name}

    def waits() -> None:
        with journal.open("a") as stream:
            stream.write(f"{name} waits\n")

    found = store.obtain("image", _INPUTS, build, waiting=waits)
    with journal.open("a") as stream:
        stream.write(f"{name} has {found.facts['builder']}\n")


def _build_without_end(store: Store, begun: Path) -> None:
    def build(work: Path) -> Mapping[str, Any]:
        (work / "half").write_text("half")
        begun.write_text("")
        time.sleep(1000)
        return {}

    store.obtain("image", _INPUTS, build)


def test_two_processes_that_want_one_object_build_it_once(store: Store, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    workers = [_FORK.Process(target=_obtain, args=(store, journal, name)) for name in ("one", "two")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0
    lines = journal.read_text().splitlines()
    (builds,) = [line.removesuffix(" builds") for line in lines if line.endswith("builds")]
    assert sorted(line for line in lines if " has " in line) == [f"one has {builds}", f"two has {builds}"]
    assert sum(line.endswith("waits") for line in lines) == 1


@pytest.fixture
def killed(store: Store, tmp_path: Path) -> Store:
    """The store after a builder was killed during its work."""
    begun = tmp_path / "begun"
    builder = _FORK.Process(target=_build_without_end, args=(store, begun))
    builder.start()
    wait_until(begun.exists, timeout_s=10, describe="the builder to begin", interval_s=0.02)
    assert builder.pid is not None
    assert store.remove_rubbish() == 0, "work that a live builder holds was taken away"
    os.kill(builder.pid, signal.SIGKILL)
    builder.join(10)
    assert list((store.root / "tmp").glob("image-*"))
    return store


def test_a_killed_builder_leaves_nothing_that_counts_as_finished(killed: Store) -> None:
    assert killed.find("image", _INPUTS) is None
    assert list(killed.objects()) == []


def test_a_killed_builders_lock_is_free_and_the_next_build_removes_its_rubbish(killed: Store) -> None:
    def build(work: Path) -> Mapping[str, Any]:
        assert list(work.iterdir()) == []
        return {}

    assert killed.obtain("image", _INPUTS, build).is_new
    assert list((killed.root / "tmp").glob("*")) == []


def test_rubbish_of_a_killed_builder_is_removed_on_request(killed: Store) -> None:
    assert killed.remove_rubbish() == 1
    assert list((killed.root / "tmp").glob("*")) == []


def test_an_object_appears_only_when_it_is_whole(store: Store) -> None:
    def build(work: Path) -> Mapping[str, Any]:
        (work / "disk").write_text("disk")
        assert not list(store.root.glob("objects/*/*"))
        return {}

    item = store.obtain("image", _INPUTS, build)
    assert sorted(path.name for path in item.path.iterdir()) == ["disk", "manifest.json"]


def test_a_replaced_file_is_never_half_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    replace_file(path, "old")
    monkeypatch.setattr(Path, "replace", _fail)
    with pytest.raises(Exception, match="cannot write"):
        replace_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def _fail(*_: object) -> None:
    raise PermissionError(13, "Permission denied")
