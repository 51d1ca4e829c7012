# SPDX-License-Identifier: MIT
"""Who times guests has the machine to itself, whoever else runs the lab on it: two locks on files in /var/tmp.

A test that uses a guest holds the first shared, a timing test holds it alone. The second is the turnstile before the
first: who waits to be alone stands in it, so that no newcomer slips past.
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
"""A test beside which nothing can be timed may boot guests and build in them; after an hour something is wrong."""


@contextlib.contextmanager
def beside_others(
    *, on_wait: Callable[[], None] = lambda: None, timeout_s: float = PATIENCE_S, parent: Path = PARENT
) -> Iterator[None]:
    """Use guests for the length of a `with` block, as others may, once nobody times theirs.

    `on_wait` is called once when that takes waiting; `HostError` when it takes longer than `timeout_s`.
    """
    with _opened(parent) as (room, turnstile):
        with _held(turnstile, fcntl.LOCK_EX, on_wait, timeout_s):
            _take(room, fcntl.LOCK_SH, on_wait, timeout_s)
        yield


@contextlib.contextmanager
def alone(
    *, on_wait: Callable[[], None] = lambda: None, timeout_s: float = PATIENCE_S, parent: Path = PARENT
) -> Iterator[None]:
    """Be the only one who uses guests for the length of a `with` block, once all others are done with theirs.

    `on_wait` is called once when that takes waiting; `HostError` when it takes longer than `timeout_s`.
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
        # Another user's file in a sticky directory may not be opened with O_CREAT (fs.protected_regular, proc(5)).
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
            f"other tests with guests did not end for {timeout_s:.0f} s, and nothing is timed beside them",
            hint="`vmlab reap` ends what nobody owns; fuser -v /var/tmp/vmlab.room names who holds the machine",
        ) from None


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
