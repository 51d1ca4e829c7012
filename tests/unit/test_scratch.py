# SPDX-License-Identifier: MIT
"""Large short-lived directories: removed at the end, and after a kill by the next process."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from vmlab import scratch
from vmlab.errors import HostError
from vmlab.scratch import remove_left_behind, scratch_directory


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scratch, "PARENT", tmp_path)
    return tmp_path


def _left_by_a_dead_process(parent: Path) -> Path:
    path = parent / "vmlab-4194305-abc"  # above the kernel's largest pid
    (path / "root").mkdir(parents=True)
    (path / "root").chmod(0o500)
    return path


def test_a_directory_is_there_for_the_block_and_gone_after_it(parent: Path) -> None:
    with scratch_directory(needed_mib=1, what="a test") as path:
        assert path.parent == parent
        (path / "file").write_text("x")
    assert list(parent.iterdir()) == []


def test_it_is_gone_after_an_error_too(parent: Path) -> None:
    with pytest.raises(KeyboardInterrupt), scratch_directory(needed_mib=1, what="a test"):
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []


def test_a_full_disk_is_told_before_the_work_begins(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 10 * 2**20))
    with (
        pytest.raises(HostError, match="10 MiB free, a guest's disk takes 512"),
        scratch_directory(needed_mib=512, what="a guest's disk"),
    ):
        pass
    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(parent: Path) -> None:
    left = _left_by_a_dead_process(parent)
    with scratch_directory(needed_mib=1, what="a test"):
        assert not left.exists()


def test_what_a_living_process_or_another_program_holds_is_left_alone(parent: Path) -> None:
    for name in (f"vmlab-{os.getppid()}-abc", "vmlab-build-abc", "other"):
        (parent / name).mkdir()
    remove_left_behind()
    assert len(list(parent.iterdir())) == 3


def test_a_directory_that_is_locked_is_left_alone_whatever_its_pid(parent: Path) -> None:
    left = _left_by_a_dead_process(parent)
    with scratch._held(left):
        remove_left_behind()
        assert left.exists()
    remove_left_behind()
    assert not left.exists()


def test_what_cannot_be_removed_does_not_stop_the_next_process(parent: Path) -> None:
    left = _left_by_a_dead_process(parent)

    def remove(path: Path) -> None:
        if path == left:
            raise HostError(f"cannot remove {str(path)!r}")
        path.rmdir()

    with scratch_directory(needed_mib=1, what="a test", remove=remove) as path:
        assert path.is_dir()
    assert list(parent.iterdir()) == [left]
