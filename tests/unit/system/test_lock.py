# SPDX-License-Identifier: MIT
"""File locks: limited waits, and an error that names the holder."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.system.lock import held, holders, open_lock, take, try_take


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until its standard input is closed."""
    words = ["flock", str(path), "sh", "-c", "echo held; cat", "a\x1b[31mb"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child
        child.kill()


def test_a_free_lock_is_taken_without_waiting(path: Path) -> None:
    with held(path, timeout_s=0, describe="nothing", on_wait=lambda: pytest.fail("waited")):
        descriptor = open_lock(path)
        assert not try_take(descriptor)
    assert try_take(descriptor)
    os.close(descriptor)


def test_the_holder_is_named_without_its_escapes(path: Path, holder: subprocess.Popen[bytes]) -> None:
    waits: list[str] = []

    with (
        pytest.raises(HostError, match="timed out after 0 s waiting for the others; held by pid") as caught,
        held(path, timeout_s=0.1, describe="the others", on_wait=lambda: waits.append("waits"), hint="do this"),
    ):
        pytest.fail("entered")

    assert f"pid {holder.pid} of " in caught.value.message
    assert "\x1b" not in caught.value.message
    assert caught.value.hint == "do this"
    assert waits == ["waits"]


def test_a_lock_is_taken_when_its_holder_ends(path: Path, holder: subprocess.Popen[bytes]) -> None:
    assert holder.stdin is not None
    timer = threading.Timer(0.2, holder.stdin.close)
    timer.start()

    with held(path, timeout_s=20, describe="the others"):
        assert holder.wait(10) == 0


def test_a_lock_that_nobody_holds_has_no_named_holder(path: Path) -> None:
    descriptor = open_lock(path)
    assert holders(descriptor) == "a process that this one cannot see"
    os.close(descriptor)


def test_a_file_system_without_locks_is_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    descriptor = open_lock(path)
    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(HostError, match=f"cannot lock '{path}': No locks available"):
        take(descriptor, timeout_s=0, describe="nothing")
    os.close(descriptor)


def test_a_lock_in_a_directory_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file or directory"):
        open_lock(tmp_path / "none" / "lock")
