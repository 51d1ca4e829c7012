# SPDX-License-Identifier: MIT
"""A store read by many hosts at once: it is never written, and all of them get the same objects."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.commands.upkeep import prune, verify
from vmlab.errors import AssetError, UsageError
from vmlab.image.keys import lab_keys
from vmlab.lab.lab import Lab
from vmlab.settings import load_settings
from vmlab.store.store import Store
from vmlab.system.files import disk_error

_FORK = multiprocessing.get_context("fork")
_INPUTS = {"kernel": "6.1"}


def _fill(work: Path) -> Mapping[str, Any]:
    (work / "disk").write_bytes(b"disk" * 1000)
    (work / "tools").mkdir()
    (work / "tools" / "gcc").write_text("compiler")
    return {"target": "debian12-6.1", "release": "6.1.0-56-cloud-amd64"}


def _must_not_run(_: Path) -> Mapping[str, Any]:
    raise AssertionError("built although it is shared")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A store as its maintainer filled it."""
    keeper = Store(tmp_path / "shared")
    keeper.obtain("image", _INPUTS, _fill)
    keeper.obtain("snapshot", _INPUTS, _fill)
    keeper.remember("resolved-debian12-6.1", "6.1.0-56")
    os.utime(tmp_path / "shared" / "notes" / "resolved-debian12-6.1.json", (0, 0))
    lab_keys(keeper)
    return tmp_path / "shared"


@pytest.fixture
def reader(shared: Path, tmp_path: Path) -> Store:
    return Store(tmp_path / "own", shared=shared)


def _tree(root: Path) -> dict[str, tuple[int, ...]]:
    """Everything that a write changes: the files, and their modification times."""
    found: dict[str, tuple[int, ...]] = {}
    for path in (root, *sorted(root.rglob("*"))):
        facts = path.lstat()
        found[str(path)] = (facts.st_ino, facts.st_mode, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return found


def _use(store: Store) -> None:
    """All store operations of a run."""
    item = store.obtain("image", _INPUTS, _must_not_run)
    with store.hold(item.path):
        assert item.file("disk").read_bytes() == b"disk" * 1000
    assert store.find("image", _INPUTS) is not None
    store.verify(item)
    assert not store.remove(item)
    store.keep_to(0)
    store.budget_bytes()
    store.remove_rubbish()
    store.note("resolved-debian12-6.1")
    store.remember("resolved-debian12-6.1", "another")
    lab_keys(store)
    store.obtain("module", {"image": item.digest}, _fill)
    store.obtain("snapshot", _INPUTS, _fill)
    assert len(list(store.objects())) == 3


def test_what_is_shared_is_found_and_nothing_there_is_touched(reader: Store, shared: Path) -> None:
    before = _tree(shared)
    _use(reader)
    assert _tree(shared) == before
    assert sorted(path.name for path in (reader.root / "objects").iterdir()) == ["module", "snapshot"]


def _use_and_tell(store: Store) -> None:
    for _ in range(5):
        _use(store)


def test_several_hosts_read_at_once(shared: Path, tmp_path: Path) -> None:
    before = _tree(shared)
    hosts = [
        _FORK.Process(target=_use_and_tell, args=(Store(tmp_path / f"host{number}", shared=shared),))
        for number in range(4)
    ]
    for host in hosts:
        host.start()
    for host in hosts:
        host.join(60)
        assert host.exitcode == 0
    assert _tree(shared) == before


_MOUNTED = """
set -e
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
! touch "$1/x" 2>/dev/null
exec "$2" -c "$3" "$1" "$4"
"""
_READ = """
import sys
sys.path[:0] = sys.argv[2].split(":")
from pathlib import Path
from unit.store.test_shared_store import _use
from vmlab.store.store import Store
_use(Store(Path(sys.argv[1]).parent / "own", shared=Path(sys.argv[1])))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_file_system_that_is_only_read_is_enough(shared: Path) -> None:
    paths = ":".join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
    argv = ["unshare", "--mount", "sh", "-c", _MOUNTED, "sh", str(shared), sys.executable, _READ, paths]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_snapshots_are_each_hosts_own(reader: Store) -> None:
    assert reader.find("snapshot", _INPUTS) is None
    assert reader.obtain("snapshot", _INPUTS, _fill).is_new
    assert [(item.kind, item.is_shared) for item in reader.objects()] == [("image", True), ("snapshot", False)]


def test_what_is_shared_comes_before_what_a_host_has_made(tmp_path: Path, shared: Path) -> None:
    own = Store(tmp_path / "own").obtain("image", _INPUTS, _fill)
    found = Store(tmp_path / "own", shared=shared).find("image", _INPUTS)
    assert found is not None
    assert found.path != own.path
    assert found.is_shared


def test_an_answer_that_is_shared_is_never_old(reader: Store) -> None:
    reader.remember("resolved-debian12-6.1", "6.1.0-57")
    assert reader.note("resolved-debian12-6.1") == ("6.1.0-56", 0.0)
    reader.remember("other", 1)
    assert reader.note("other") is not None


def test_each_host_has_keys_of_its_own_whatever_the_shared_store_holds(reader: Store, shared: Path) -> None:
    keys = lab_keys(reader)

    assert keys.user == reader.root / "keys" / "user"
    assert keys.digest != lab_keys(Store(shared)).digest


@pytest.mark.parametrize("damage", ["file", "manifest"])
def test_damage_is_told_and_who_mends_it(reader: Store, shared: Path, damage: str) -> None:
    (item,) = [found for found in reader.objects() if found.is_shared]
    (item.path / ("disk" if damage == "file" else "manifest.json")).write_text("{")
    with pytest.raises(AssetError, match="is damaged") as caught:
        reader.find("image", _INPUTS)
    assert "the shared store's maintainer" in caught.value.hint


def test_looking_after_the_store_shows_what_is_shared_and_removes_none_of_it(tmp_path: Path, shared: Path) -> None:
    settings = load_settings(
        {"store": str(tmp_path / "own"), "shared_store": str(shared)}, directory=tmp_path, environment={}
    )
    lab = Lab(settings)
    said: list[str] = []
    assert verify(lab.store, (), say=said.append)
    assert said == ["ok       image    debian12-6.1"]
    before = _tree(shared)
    prune(lab, (), is_all=True, is_damaged_only=False, say=said.append)
    assert _tree(shared) == before


def test_a_directory_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--vmlab-shared-store must be a directory that exists, got '.*none'"):
        load_settings({"shared_store": str(tmp_path / "none")}, directory=tmp_path, environment={})


def test_a_store_that_cannot_be_written_names_the_other_option() -> None:
    hint = disk_error(OSError(30, "Read-only file system"), Path("/x")).hint
    assert "--vmlab-store" in hint
    assert "--vmlab-shared-store" in hint
