# SPDX-License-Identifier: MIT
"""Large temporary directories: removed at the end, or after a kill by the next process."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import namedtuple
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.system import scratch
from vmlab.system.process import ProcessIdentity
from vmlab.system.scratch import ScratchDirectory, remove_left_behind


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scratch, "PARENT", tmp_path)
    return scratch.own_parent()


def _left_by_a_dead_process(parent: Path) -> Path:
    path = parent / "vmlab-4194305-17-abc"  # above the kernel's largest pid
    (path / "root").mkdir(parents=True)
    (path / "root").chmod(0o500)
    return path


def test_a_directory_is_there_for_the_block_and_gone_after_it(parent: Path) -> None:
    with ScratchDirectory(needed_mib=1, what="a test") as path:
        assert path.parent == parent
        (path / "file").write_text("x")
    assert list(parent.iterdir()) == []


def test_it_is_gone_after_an_error_too(parent: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ScratchDirectory(needed_mib=1, what="a test"):
        raise KeyboardInterrupt
    assert list(parent.iterdir()) == []


def test_a_full_disk_is_told_before_the_work_begins(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 10 * 2**20))
    with (
        pytest.raises(HostError, match="10 MiB free, a guest's disk needs 512 MiB"),
        ScratchDirectory(needed_mib=512, what="a guest's disk"),
    ):
        pass
    assert list(parent.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(parent: Path) -> None:
    left = _left_by_a_dead_process(parent)
    with ScratchDirectory(needed_mib=1, what="a test"):
        assert not left.exists()


def test_what_a_living_process_or_another_program_holds_is_left_alone(parent: Path) -> None:
    parent_process = ProcessIdentity.of(os.getppid())
    for name in (f"vmlab-{parent_process.pid}-{parent_process.started}-abc", "vmlab-build-abc", "other"):
        (parent / name).mkdir()
    assert remove_left_behind() == []
    assert len(list(parent.iterdir())) == 3


def test_a_pid_that_was_given_out_again_protects_nothing(parent: Path) -> None:
    left = parent / f"vmlab-{os.getppid()}-17-abc"
    left.mkdir()
    assert remove_left_behind() == [left]
    assert not left.exists()


def test_a_child_that_inherited_the_lock_keeps_the_directory(parent: Path) -> None:
    scratch_directory = ScratchDirectory(needed_mib=1, what="a test")
    path = scratch_directory.path.rename(parent / "vmlab-4194305-17-kept")  # as if its owner had ended
    child = subprocess.Popen(["sleep", "60"], pass_fds=(scratch_directory.lock_fd,))
    try:
        scratch_directory.release()
        assert remove_left_behind() == []
    finally:
        child.kill()
        child.wait()
    assert remove_left_behind() == [path]


def test_a_directory_that_is_locked_is_left_alone_whatever_its_pid(parent: Path) -> None:
    left = _left_by_a_dead_process(parent)
    descriptor = scratch.lock_directory(left)
    remove_left_behind()
    assert left.exists()
    os.close(descriptor)
    remove_left_behind()
    assert not left.exists()


def test_what_cannot_be_removed_does_not_stop_the_next_process(parent: Path) -> None:
    left = _left_by_a_dead_process(parent)

    def remove(path: Path) -> None:
        if path == left:
            raise HostError(f"cannot remove {str(path)!r}")
        path.rmdir()

    with ScratchDirectory(needed_mib=1, what="a test", remove=remove) as path:
        assert path.is_dir()
    assert list(parent.iterdir()) == [left]
