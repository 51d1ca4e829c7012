# SPDX-License-Identifier: MIT
"""Logs of child processes: a full disk and odd files neither hang the child nor lose its output."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hostile.stores import IS_ROOT, in_time
from vmlab.errors import HostError
from vmlab.system.process import run


def test_a_full_disk_under_a_log_neither_hangs_the_child_nor_loses_its_output() -> None:
    started = time.monotonic()

    with pytest.raises(HostError, match="cannot write the log '/dev/full': No space left on device") as caught:
        # Several times what a pipe holds.
        run(["sh", "-c", "seq 200000; echo end"], timeout_s=60, log=Path("/dev/full"))

    assert time.monotonic() - started < 30
    assert "vmlab images prune" in caught.value.hint


@pytest.mark.skipif(not IS_ROOT, reason="mounting takes root")
def test_a_disk_that_becomes_full_under_a_log_is_one_line(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    try:
        with pytest.raises(HostError, match="No space left on device"):
            run(["seq", "200000"], timeout_s=60, log=disk / "log")
        assert (disk / "log").read_text().startswith("1\n2\n")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("kind", ["FIFO", "link", "directory", "no directory"])
def test_a_log_that_is_no_file_is_one_line_before_the_program_starts(tmp_path: Path, kind: str) -> None:
    log = tmp_path / "log"
    makers: dict[str, Callable[[], object]] = {
        "FIFO": lambda: os.mkfifo(log),
        "link": lambda: log.symlink_to(tmp_path / "target"),
        "directory": log.mkdir,
        "no directory": lambda: tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved")),
    }
    makers[kind]()

    def refusal() -> str:
        with pytest.raises(HostError) as caught:
            run(["sh", "-c", f"touch {tmp_path}/started"], timeout_s=10, log=log)
        return caught.value.one_line

    assert "cannot write the log" in str(in_time(refusal))
    assert not (tmp_path / "started").exists()
    assert not (tmp_path / "target").exists()


def test_a_callback_that_fails_does_not_hang_the_child() -> None:
    def fail(line: str) -> None:
        raise BrokenPipeError(line)

    with pytest.raises(BrokenPipeError):
        run(["seq", "200000"], timeout_s=60, on_line=fail)
