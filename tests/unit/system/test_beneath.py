# SPDX-License-Identifier: MIT
"""Files below a directory whose owner is not trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmlab.system.beneath import NotTaken, copy_beneath, read_beneath, write_beneath


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "root" / "sub").mkdir(parents=True)
    (tmp_path / "root" / "sub" / "file").write_bytes(b"content")
    (tmp_path / "outside").write_bytes(b"secret")
    return tmp_path / "root"


def test_a_regular_file_is_read_and_copied(directory: Path, tmp_path: Path) -> None:
    copy_beneath(directory, "sub/file", tmp_path / "copy", largest_bytes=7)

    assert read_beneath(directory, "sub/file", largest_bytes=7)[0] == b"content"
    assert (tmp_path / "copy").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "sub/../../outside", "/etc/passwd"])
def test_a_name_that_leads_out_is_not_taken(directory: Path, name: str) -> None:
    with pytest.raises(NotTaken, match="leads out of its directory"):
        read_beneath(directory, name, largest_bytes=7)


def test_a_link_is_not_followed_anywhere(directory: Path) -> None:
    (directory / "last").symlink_to("sub/file")
    (directory / "folder").symlink_to("sub")

    with pytest.raises(NotTaken, match="is a symbolic link"):
        read_beneath(directory, "last", largest_bytes=7)
    with pytest.raises(NotTaken, match="is reached through a symbolic link"):
        read_beneath(directory, "folder/file", largest_bytes=7)


def test_a_fifo_is_not_opened(directory: Path) -> None:
    os.mkfifo(directory / "fifo")

    with pytest.raises(NotTaken, match="is a FIFO"):
        read_beneath(directory, "fifo", largest_bytes=7)


def test_a_file_that_is_too_large_is_not_taken(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(NotTaken, match="is larger than 0 MiB"):
        read_beneath(directory, "sub/file", largest_bytes=6)
    with pytest.raises(NotTaken, match="is larger than 0 MiB"):
        copy_beneath(directory, "sub/file", tmp_path / "copy", largest_bytes=6)


def test_a_written_file_replaces_a_link_and_not_its_target(directory: Path, tmp_path: Path) -> None:
    (directory / "link").symlink_to("../outside")
    descriptor = os.open(directory, os.O_PATH)

    write_beneath(descriptor, "link", b"new", mode=0o755, mtime_ns=10**18)
    write_beneath(descriptor, "a/b/new", b"new", mode=0o644, mtime_ns=0)
    os.close(descriptor)

    assert (directory / "link").read_bytes() == b"new"
    assert (directory / "link").stat().st_mtime_ns == 10**18
    assert (directory / "a" / "b" / "new").read_bytes() == b"new"
    assert (tmp_path / "outside").read_bytes() == b"secret"


def test_no_file_is_written_by_way_of_a_link(directory: Path, tmp_path: Path) -> None:
    (directory / "up").symlink_to("..")
    descriptor = os.open(directory, os.O_PATH)

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        write_beneath(descriptor, "up/planted", b"new", mode=0o644, mtime_ns=0)
    os.close(descriptor)

    assert not (tmp_path / "planted").exists()
