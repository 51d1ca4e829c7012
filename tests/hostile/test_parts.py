# SPDX-License-Identifier: MIT
"""Odd files in the place of a partly fetched file: nothing outside of the store is written, and nothing blocks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.cloud.partial import Part
from vmlab.errors import HostError
from vmlab.store.store import Store

_NAME = "cloud-image-0123456789abcdef0123"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    return victim


@pytest.mark.parametrize("kind", ["link", "FIFO", "directory"])
def test_what_is_not_a_file_in_a_parts_place_is_refused(store: Store, victim: Path, kind: str) -> None:
    makers: dict[str, Callable[[Path], object]] = {
        "link": lambda path: path.symlink_to(victim),
        "FIFO": os.mkfifo,
        "directory": Path.mkdir,
    }
    data = store.directory(f"parts/{_NAME}") / "data"
    makers[kind](data)

    with pytest.raises(HostError, match="is not a regular file with one name"):
        Part(store, _NAME)

    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, lambda path: path.write_text("[" * 200_000), lambda path: path.symlink_to("/dev/zero")],
    ids=["FIFO", "deep", "endless link"],
)
def test_a_damaged_origin_counts_as_none(store: Store, make: Callable[[Path], object]) -> None:
    make(store.directory(f"parts/{_NAME}") / "origin.json")

    with Part(store, _NAME) as part:
        assert part.validator("https://images.invalid/disk") == ""
