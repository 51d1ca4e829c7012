# SPDX-License-Identifier: MIT
"""Directories and small files that are believed only if this user alone can have written them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.system.private import is_own_directory, is_private_directory, private_directory, read_small_json, user_named


def test_a_directory_is_made_once_and_gets_its_mode_back(tmp_path: Path) -> None:
    path = private_directory(tmp_path / "own", mode=0o711)
    path.chmod(0o700)  # as if the process had been killed before it set the mode

    assert private_directory(path, mode=0o711) == path
    assert path.stat().st_mode & 0o777 == 0o711


def test_a_directory_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"cannot make .*: No such file or directory"):
        private_directory(tmp_path / "none" / "own")


def test_a_link_to_an_own_directory_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)

    assert is_own_directory(tmp_path)
    assert is_private_directory(tmp_path)
    assert not is_own_directory(tmp_path / "link")
    assert not is_private_directory(tmp_path / "link")
    assert not is_own_directory(tmp_path / "none")


def test_a_file_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"a": 1}')

    assert read_small_json(path, limit_bytes=8) == {"a": 1}
    with pytest.raises(ValueError, match="larger than 7 bytes"):
        read_small_json(path, limit_bytes=7)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_record_that_others_can_write_is_not_believed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "file.json"
    path.write_text("1")
    path.chmod(mode)

    assert read_small_json(path, limit_bytes=8) == 1
    with pytest.raises(ValueError, match=f"a file of .* with mode {mode:04o}"):
        read_small_json(path, limit_bytes=8, must_be_own=True)


def test_a_user_has_a_name_or_a_number() -> None:
    assert user_named(0) == "user root"
    assert user_named(os.getpid() + 2**30) == f"uid {os.getpid() + 2**30}"
