# SPDX-License-Identifier: MIT
"""A changed tree in the store is noticed, at the price of a walk."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vmlab.errors import AssetError
from vmlab.store import seal
from vmlab.store.store import Store
from vmlab.store.trees import tree_state


def _build(work: Path) -> dict[str, Any]:
    (work / "tools" / "bin").mkdir(parents=True)
    (work / "tools" / "bin" / "gcc").write_text("compiler")
    (work / "tools" / "cc").symlink_to("bin/gcc")
    return {}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    made.obtain("image", {"n": 1}, _build)
    return made


@pytest.fixture
def tools(store: Store) -> Path:
    found = store.find("image", {"n": 1})
    assert found is not None
    return found.file("tools")


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Trees whose contents were hashed."""
    done: list[Path] = []
    real = seal.tree_sum

    def tree(directory: Path) -> tuple[int, str]:
        done.append(directory)
        return real(directory)

    monkeypatch.setattr(seal, "tree_sum", tree)
    return done


def _replaced(tools: Path) -> None:
    path = tools / "bin" / "gcc"
    before = path.stat()
    path.write_text("attacker")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _added(tools: Path) -> None:
    before = tools.stat(), (tools / "bin").stat()
    (tools / "bin" / "planted").touch()
    for path, row in zip((tools, tools / "bin"), before, strict=True):
        os.utime(path, ns=(row.st_atime_ns, row.st_mtime_ns))


def _relinked(tools: Path) -> None:
    (tools / "cc").unlink()
    (tools / "cc").symlink_to("bin/bad")


def _removed(tools: Path) -> None:
    (tools / "bin" / "gcc").unlink()


@pytest.mark.parametrize("change", [_replaced, _added, _relinked, _removed])
def test_a_changed_tree_is_noticed_even_with_its_old_times(
    store: Store, tools: Path, change: Callable[[Path], None]
) -> None:
    change(tools)

    with pytest.raises(AssetError, match="tools has SHA-256"):
        store.find("image", {"n": 1})


def test_a_tree_that_is_as_it_was_made_is_not_hashed(store: Store, hashed: list[Path]) -> None:
    assert store.find("image", {"n": 1}) is not None

    assert hashed == []


def test_a_tree_of_an_older_store_is_hashed_once(store: Store, tools: Path, hashed: list[Path]) -> None:
    for note in (store.root / "notes").glob("tree-*"):
        note.unlink()

    for _ in range(2):
        assert store.find("image", {"n": 1}) is not None

    assert hashed == [tools]


def test_a_copied_store_is_valid_and_hashed_once(store: Store, hashed: list[Path], tmp_path: Path) -> None:
    shutil.copytree(store.root, tmp_path / "copy", symlinks=True)
    copy = Store(tmp_path / "copy")

    for _ in range(2):
        assert copy.find("image", {"n": 1}) is not None

    assert len(hashed) == 1


def test_a_shared_store_is_hashed_once_by_each_reader(store: Store, hashed: list[Path], tmp_path: Path) -> None:
    reader = Store(tmp_path / "own", shared=store.root)

    for _ in range(2):
        found = reader.find("image", {"n": 1})
        assert found is not None
        assert found.is_shared

    assert len(hashed) == 1


def test_a_damaged_note_is_no_proof(store: Store, hashed: list[Path]) -> None:
    for note in (store.root / "notes").glob("tree-*"):
        note.write_text(json.dumps(["tools"]))

    assert store.find("image", {"n": 1}) is not None

    assert len(hashed) == 1


def test_the_note_goes_with_its_object(store: Store) -> None:
    (item,) = store.objects()
    store.remove(item)

    assert list((store.root / "notes").glob("tree-*")) == []


def test_a_state_depends_on_modes_and_not_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").touch()
    before = tree_state(tmp_path / "a")

    (tmp_path / "a").rename(tmp_path / "b")
    assert tree_state(tmp_path / "b") == before
    (tmp_path / "b" / "file").chmod(0o777)
    assert tree_state(tmp_path / "b") != before
