# SPDX-License-Identifier: MIT
"""Directories for things that are large and short-lived: overlays, unpacked roots.

They lie in /var/tmp, since /tmp is often a small tmpfs, and are locked as long as their process lives, so that
what a killed one left is found and removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from vmlab.errors import HostError
from vmlab.store import remove_tree

PARENT = Path("/var/tmp")


@contextlib.contextmanager
def scratch_directory(
    *, needed_mib: int, what: str, mode: int = 0o700, remove: Callable[[Path], None] = remove_tree
) -> Iterator[Path]:
    """A directory of this process, removed at the end; `HostError` when there is not enough room for `what`."""
    remove_left_behind(remove)
    free_mib = shutil.disk_usage(PARENT).free // 2**20
    if free_mib < needed_mib:
        raise HostError(
            f"no space left: {PARENT} has {free_mib} MiB free, {what} takes {needed_mib}",
            hint="free some; `vmlab images prune` removes what the lab does not need",
        )
    path = Path(tempfile.mkdtemp(prefix=f"vmlab-{os.getpid()}-", dir=PARENT))
    path.chmod(mode)
    with _held(path):
        try:
            yield path
        finally:
            remove(path)


def remove_left_behind(remove: Callable[[Path], None] = remove_tree) -> None:
    """Remove the directories of this user's processes that are gone."""
    for path in PARENT.glob("vmlab-*-*"):
        pid = path.name.split("-")[1]
        # What cannot be removed, such as files of an unshared mmdebstrap, is no reason not to go on.
        with contextlib.suppress(OSError, HostError):
            if not pid.isdigit() or path.stat().st_uid != os.geteuid() or Path("/proc", pid).exists():
                continue
            # The process may live in another container, where it has another pid; its lock counts here too.
            with _held(path):
                remove(path)


@contextlib.contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel frees when this process ends; `BlockingIOError` when it is held."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
