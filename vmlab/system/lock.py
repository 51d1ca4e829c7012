# SPDX-License-Identifier: MIT
"""File locks that wait for a limited time and name their holder (flock(2)).

The kernel releases a lock when the last copy of its descriptor is closed, however its holder dies.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from vmlab.errors import HostError, MachineLost
from vmlab.system.files import disk_error
from vmlab.system.private import user_named
from vmlab.system.wait import wait_until

_LONGEST_WORDS = 80


def open_lock(path: Path) -> int:
    """Return a descriptor of a lock file, made for this user alone if it is missing.

    It is opened for writing, because flock(2) needs that for an exclusive lock on NFS. Raises `HostError` for anything
    but a regular file, and when it cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _not_a_file(path) from None
        raise disk_error(error, path.parent) from None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise _not_a_file(path)
    if found.st_mode & 0o600 != 0o600 and found.st_uid == os.geteuid():
        os.fchmod(descriptor, 0o600)  # made under an odd umask
    return descriptor


@contextlib.contextmanager
def held(
    path: Path,
    how: int = fcntl.LOCK_EX,
    *,
    timeout_s: float,
    describe: str,
    on_wait: Callable[[], None] = lambda: None,
    hint: str = "",
) -> Iterator[None]:
    """Hold the lock of a file in a `with` block; see `take`."""
    descriptor = open_lock(path)
    try:
        take(descriptor, how, timeout_s=timeout_s, describe=describe, on_wait=on_wait, hint=hint)
        yield
    finally:
        os.close(descriptor)


def take(
    descriptor: int,
    how: int = fcntl.LOCK_EX,
    *,
    timeout_s: float,
    describe: str,
    on_wait: Callable[[], None] = lambda: None,
    hint: str = "",
) -> None:
    """Take a lock; calls `on_wait` once if another process holds it.

    After `timeout_s` raises `HostError`, which says what was waited for (`describe`) and who holds the lock.
    """
    if try_take(descriptor, how):
        return
    on_wait()
    try:
        wait_until(lambda: try_take(descriptor, how), timeout_s=timeout_s, describe=describe, interval_s=0.05)
    except MachineLost:
        raise HostError(
            f"timed out after {timeout_s:.0f} s waiting for {describe}; held by {holders(descriptor)}", hint=hint
        ) from None


def try_take(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Take a lock if it is free; returns False if another process holds it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise HostError(f"cannot lock {_path_of(descriptor)!r}: {error.strerror}") from None
    return True


def holders(descriptor: int) -> str:
    """Return the processes that hold the lock of an open file, for a message (/proc/locks, proc(5))."""
    inode = os.fstat(descriptor).st_ino
    try:
        rows = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        rows = []
    # A waiting process has "->" in the second column. The device is not compared: btrfs and overlayfs show another one.
    pids = {int(row[4]) for row in rows if row[1] == "FLOCK" and row[5].endswith(f":{inode}")}
    return ", ".join(_named(pid) for pid in sorted(pids) if pid > 0) or "a process that this one cannot see"


def _named(pid: int) -> str:
    try:
        raw = Path("/proc", str(pid), "cmdline").read_bytes()
        owner = user_named(Path("/proc", str(pid)).stat().st_uid)
    except OSError:
        return f"pid {pid}"
    # Any user chooses the words of its processes.
    words = "".join(
        letter if letter.isprintable() else "?" for letter in raw.replace(b"\0", b" ").decode(errors="replace")
    )
    return f"pid {pid} of {owner} ({words.strip()[:_LONGEST_WORDS]})"


def _path_of(descriptor: int) -> str:
    try:
        return str(Path("/proc/self/fd", str(descriptor)).readlink())
    except OSError:
        return f"descriptor {descriptor}"


def _not_a_file(path: Path) -> HostError:
    return HostError(f"cannot use {str(path)!r} as a lock: it is not a regular file", hint="remove it")
