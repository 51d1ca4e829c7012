# SPDX-License-Identifier: MIT
"""Exclusive use of the host for timing tests, across all vmlab processes of this user: two file locks.

A test that uses a guest holds the first lock shared, a timing test holds it exclusively. The second lock, the
turnstile, is taken before the first: a waiting timing test holds it, so that no new test gets ahead of it.

Other users' tests are not waited for: any of them could hold a lock that all users share for ever. Their load counts
as any other program's does (`vmlab.host.load`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from vmlab.system.lock import held, open_lock, take
from vmlab.system.scratch import own_parent

PATIENCE_S = 3600.0
"""Timeout for the lock: other tests may boot guests and build in them, but an hour means that one is stuck."""
_DESCRIBED = "other tests that use guests to end"
_HINT = "`vmlab reap` ends abandoned guests"


@contextlib.contextmanager
def beside_others(
    *, on_wait: Callable[[], None] = lambda: None, timeout_s: float = PATIENCE_S, parent: Path | None = None
) -> Iterator[None]:
    """Hold the shared lock in a `with` block: other tests may use guests too, but no timing test runs.

    Calls `on_wait` once if it has to wait; raises `HostError`, with the holder, after `timeout_s`. The locks are in
    `parent`, by default the directory of this user's scratch directories.
    """
    with _room(fcntl.LOCK_SH, parent, on_wait, timeout_s) as turn:
        turn.close()
        yield


@contextlib.contextmanager
def alone(
    *, on_wait: Callable[[], None] = lambda: None, timeout_s: float = PATIENCE_S, parent: Path | None = None
) -> Iterator[None]:
    """Hold the exclusive lock in a `with` block: no other test uses a guest meanwhile. Otherwise as `beside_others`."""
    with _room(fcntl.LOCK_EX, parent, on_wait, timeout_s):
        yield


@contextlib.contextmanager
def _room(
    how: int, parent: Path | None, on_wait: Callable[[], None], timeout_s: float
) -> Iterator[contextlib.ExitStack]:
    """Hold the room in the given way, and the turnstile until the yielded stack is closed."""
    directory = own_parent() if parent is None else parent
    with contextlib.ExitStack() as turn:
        turn.enter_context(
            held(directory / "turnstile.lock", timeout_s=timeout_s, describe=_DESCRIBED, on_wait=on_wait, hint=_HINT)
        )
        room = open_lock(directory / "room.lock")
        try:
            take(room, how, timeout_s=timeout_s, describe=_DESCRIBED, on_wait=on_wait, hint=_HINT)
            yield turn
        finally:
            os.close(room)
