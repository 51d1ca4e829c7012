# SPDX-License-Identifier: MIT
"""The directory of a store: the objects in it, and who else can reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.store.place import is_open, object_paths, writable_by_others

_A, _B = "a" * 20, "b" * 20


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "store"
    for name in ("keys", f"objects/image/{_A}", f"objects/base/{_B}"):
        (root / name).mkdir(parents=True)
    (root / "keys" / "user").touch(mode=0o600)
    for path in (root, *root.rglob("*")):
        path.chmod(0o700)
    return root


def test_objects_are_listed_by_kind_and_digest(root: Path) -> None:
    assert object_paths(root) == [root / "objects" / "base" / _B, root / "objects" / "image" / _A]
    assert object_paths(root / "none") == []


def test_what_others_cannot_enter_is_open_to_nobody(root: Path) -> None:
    (root / "keys" / "user").chmod(0o666)

    assert not is_open(root)
    assert list(writable_by_others(root)) == []


def test_each_path_that_others_can_write_is_listed_once(root: Path) -> None:
    root.chmod(0o755)
    (root / "keys").chmod(0o777)
    (root / "keys" / "user").chmod(0o666)
    (root / "objects" / "image" / _A).chmod(0o770)

    assert is_open(root)
    assert list(writable_by_others(root)) == [root / "keys", root / "objects" / "image" / _A, root / "keys" / "user"]
