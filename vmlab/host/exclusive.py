# SPDX-License-Identifier: MIT
"""Exclusive use of the host for timing tests, across all vmlab processes: two file locks in /var/tmp.

A test that uses a guest holds the first lock shared, a timing test holds it exclusively. The second lock, the
turnstile, is taken before the first: a waiting timing test holds it, so that no new test gets ahead of it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from vmlab.errors import HostError, VmlabError
from vmlab.system.scratch import PARENT
from vmlab.system.wait import wait_until

PATIENCE_S = 3600.0
"""Timeout for the lock: other tests may boot guests and build in them, but an hour means that one is stuck."""


@contextlib.contextmanager
def beside_others(
    *, on_wait: Callable[[], None] = lambda: None, timeout_s: float = PATIENCE_S, parent: Path = PARENT
) -> Iterator[None]:
    """Hold the shared lock in a `with` block: other tests may use guests too, but no timing test runs.

    Calls `on_wait` once if it has to wait; raises `HostError` after `timeout_s`.
    """
    with _opened(parent) as (room, turnstile):
        with _held(turnstile, fcntl.LOCK_EX, on_wait, timeout_s):
            _take(room, fcntl.LOCK_SH, on_wait, timeout_s)
        yield


@contextlib.contextmanager
def alone(
    *, on_wait: Callable[[], None] = lambda: None, timeout_s: float = PATIENCE_S, parent: Path = PARENT
) -> Iterator[None]:
    """Hold the exclusive lock in a `with` block: no other test uses a guest meanwhile.

    Calls `on_wait` once if it has to wait; raises `HostError` after `timeout_s`.
    """
    with _opened(parent) as (room, turnstile), _held(turnstile, fcntl.LOCK_EX, on_wait, timeout_s):
        _take(room, fcntl.LOCK_EX, on_wait, timeout_s)
        yield


@contextlib.contextmanager
def _opened(parent: Path) -> Iterator[tuple[int, int]]:
    with contextlib.ExitStack() as stack:
        descriptors = []
        for name in ("vmlab.room", "vmlab.turnstile"):
            descriptor = _open(parent / name)
            stack.callback(os.close, descriptor)
            descriptors.append(descriptor)
        yield descriptors[0], descriptors[1]


def _open(path: Path) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        # O_CREAT fails on another user's file in a sticky directory (fs.protected_regular, proc(5)).
        return os.open(path, flags)
    except FileNotFoundError:
        return os.open(path, flags | os.O_CREAT, 0o444)


@contextlib.contextmanager
def _held(descriptor: int, how: int, on_wait: Callable[[], None], timeout_s: float) -> Iterator[None]:
    _take(descriptor, how, on_wait, timeout_s)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _take(descriptor: int, how: int, on_wait: Callable[[], None], timeout_s: float) -> None:
    if _try(descriptor, how):
        return
    on_wait()
    try:
        wait_until(
            lambda: _try(descriptor, how), timeout_s=timeout_s, describe="other guests' tests to end", interval_s=0.05
        )
    except VmlabError:
        raise HostError(
            f"timed out after {timeout_s:.0f} s waiting for other tests that use guests to end",
            hint="`vmlab reap` ends abandoned guests; `fuser -v /var/tmp/vmlab.room` shows who holds the lock",
        ) from None


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
