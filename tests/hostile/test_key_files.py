# SPDX-License-Identifier: MIT
"""Damaged and foreign files in the place of a store's keys: they reach no guest."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.errors import AssetError
from vmlab.image.keys import LabKeys, known_keys, lab_keys
from vmlab.store.store import Store

_NOBODY = 65534


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def keys(store: Store) -> LabKeys:
    return lab_keys(store)


def _instead(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def replace(path: Path) -> None:
        path.unlink()
        make(path)

    return replace


def _refusal(act: Callable[[], object]) -> str:
    """The error of `act`, which must not block."""
    told: list[str] = []

    def run() -> None:
        try:
            act()
        except AssetError as error:
            told.append(error.one_line)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert told, "it blocked, or was believed"
    return told[0]


_DAMAGES: dict[str, Callable[[Path], object]] = {
    "not ASCII": lambda path: path.write_bytes(b"\xff"),
    "empty": lambda path: path.write_text(""),
    "FIFO": _instead(os.mkfifo),
    "link": _instead(lambda path: path.symlink_to("/etc/hostname")),
    "endless link": _instead(lambda path: path.symlink_to("/dev/zero")),
    "a second line": lambda path: path.write_text(path.read_text() * 2),
    "options": lambda path: path.write_text('command="x" ' + path.read_text()),
    "a comment": lambda path: path.write_text(path.read_text().strip() + " x\n"),
    "writable by others": lambda path: path.chmod(0o666),
    "a second name": lambda path: path.with_name("other").hardlink_to(path),
}


@pytest.mark.parametrize("damage", _DAMAGES.values(), ids=_DAMAGES.keys())
@pytest.mark.parametrize("name", ["user", "user.pub", "host", "host.pub"])
def test_a_file_that_is_not_a_key_is_one_line(
    store: Store, keys: LabKeys, name: str, damage: Callable[[Path], object]
) -> None:
    path = keys.user.with_name(name)
    damage(path)

    told = _refusal(lambda: lab_keys(store))

    assert told.startswith(f"cannot use the store's SSH keys: {str(path)!r}: it ")
    assert f"remove {path.parent}: the next run makes new keys" in told
    assert _refusal(lambda: known_keys(store)) == told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user's files")
@pytest.mark.parametrize("name", ["user", "host.pub", ""])
def test_keys_of_another_user_are_refused(store: Store, keys: LabKeys, name: str) -> None:
    path = keys.user.parent / name
    os.chown(path, _NOBODY, _NOBODY)

    assert f"cannot use the store's SSH keys: {str(path)!r}: it is " in _refusal(lambda: lab_keys(store))


def test_a_directory_of_keys_that_others_can_write_is_refused(store: Store, keys: LabKeys) -> None:
    keys.user.parent.chmod(0o777)

    assert "it is not a directory that only you can write" in _refusal(lambda: lab_keys(store))


@pytest.mark.parametrize("name", ["user", "host.pub"])
def test_a_key_whose_half_is_missing_is_made_again(store: Store, keys: LabKeys, name: str) -> None:
    before = keys.digest
    keys.user.with_name(name).unlink()

    assert known_keys(store) is None
    assert lab_keys(store).digest != before
    assert known_keys(store) is not None
    assert {path.name for path in keys.user.parent.iterdir()} == {"user", "user.pub", "host", "host.pub"}
