# SPDX-License-Identifier: MIT
"""Directories for short-lived files: overlays, unpacked root file systems, builds.

They are in /var/tmp, since /tmp is often a small tmpfs, below a directory of this user that others can pass through
but neither list nor write. Each is named by its process's pid and start time, and locked while that process, or a child
that inherited the lock, lives. The next process removes what a killed one left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from os import geteuid
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.files import remove_tree
from vmlab.system.private import is_own_directory, is_private_directory, private_directory
from vmlab.system.process import ProcessIdentity

PARENT = Path("/var/tmp")
_OLD_NAMES = ("vmlab-build-*", "vmlab-source-*", "vmlab-foreign-*", "vmlab-kvm-*", "vmlab-firmware-*")
"""Names in the directory for temporary files that earlier versions used; a killed run left them."""
_OLD_S = 86400.0
"""Age at which such a directory, which names no process, is abandoned: longer than any run uses one."""

Remove = Callable[[Path], None]


def own_parent() -> Path:
    """Return the directory of this user's scratch directories, made if it is missing.

    An unshared mmdebstrap and an unprivileged QEMU run as other users, and must pass through it. Raises `HostError`
    when another user took its name.
    """
    return private_directory(_own_parent(), mode=0o711)


def _own_parent() -> Path:
    return PARENT / f"vmlab-{geteuid()}"


class ScratchDirectory:
    """A directory of this process, removed when it is closed; a context manager.

    Raises `HostError` when there is not enough space for `what`.
    """

    def __init__(self, *, needed_mib: int, what: str, mode: int = 0o700, remove: Remove = remove_tree) -> None:
        parent = own_parent()
        remove_left_behind(remove)
        free_mib = shutil.disk_usage(PARENT).free // 2**20
        if free_mib < needed_mib:
            raise HostError(
                f"no space left: {PARENT} has {free_mib} MiB free, {what} needs {needed_mib} MiB",
                hint="free space; `vmlab images prune` removes objects that the lab does not need",
            )
        self._remove = remove
        owner = ProcessIdentity.of(os.getpid())
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"vmlab-{owner.pid}-{owner.started}-", dir=parent))
        except OSError as error:
            message = f"cannot make a directory in {str(parent)!r}: {error.strerror}"
            raise HostError(message, hint="free space") from None
        self.path.chmod(mode)
        self.lock_fd = lock_directory(self.path)
        """Descriptor of the lock; a child that inherits it keeps the directory while it lives."""

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the directory and its contents; safe to call again."""
        if self.lock_fd >= 0:
            try:
                self._remove(self.path)
            finally:
                self.release()

    def release(self) -> None:
        """Leave the directory to the process that inherited the lock."""
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1


def scratch_directories() -> Iterator[Path]:
    """Yield the scratch directories of this user's processes, alive or not; those of earlier versions too, which lie
    in /var/tmp itself. Links, and directories of other users, are left out."""
    for parent in (_own_parent(), PARENT):
        if parent == PARENT or is_private_directory(parent):
            yield from (path for path in sorted(parent.glob("vmlab-*-*")) if is_own_directory(path))


def owner_of(path: Path) -> ProcessIdentity | None:
    """Return the process that made a scratch directory, by the directory's name."""
    words = path.name.split("-")
    if len(words) < 4 or not (words[1].isdecimal() and words[2].isdecimal()):
        return None
    return ProcessIdentity(pid=int(words[1]), started=int(words[2]))


def is_abandoned(path: Path) -> bool:
    """True if no process uses a scratch directory: its lock is free and its owner is gone.

    A missing owner is not enough: it may live in another container, under another pid. A free lock is not enough
    either: a directory is locked a moment after it is made.
    """
    owner = owner_of(path)
    return owner is not None and not owner.is_alive() and not is_locked(path)


def is_locked(path: Path) -> bool:
    """True if a process holds a scratch directory's lock, or the directory cannot be opened."""
    try:
        os.close(lock_directory(path))
    except OSError:
        return True
    return False


def remove_left_behind(remove: Remove = remove_tree) -> list[Path]:
    """Remove the directories of this user's dead processes; returns them."""
    gone = []
    for path in scratch_directories():
        # A directory that cannot be removed, such as an unshared mmdebstrap's, must not stop the others.
        with contextlib.suppress(OSError, HostError):
            if is_abandoned(path):
                remove(path)
                gone.append(path)
    return gone


def remove_old_temporaries() -> list[Path]:
    """Remove the temporary directories that killed runs of earlier versions left; returns them."""
    parent = Path(tempfile.gettempdir())
    gone = []
    for path in (path for name in _OLD_NAMES for path in sorted(parent.glob(name)) if is_own_directory(path)):
        with contextlib.suppress(OSError, HostError):
            if time.time() - path.stat().st_mtime > _OLD_S:
                remove_tree(path)
                gone.append(path)
    return gone


def lock_directory(path: Path) -> int:
    """Return a descriptor that holds the directory's lock, which the kernel releases when the last copy is closed.
    Raises `BlockingIOError` when it is held."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException as error:
        os.close(descriptor)
        if isinstance(error, OSError) and error.errno == errno.EBADF:
            # An exclusive lock on NFS needs a descriptor open for writing, which a directory cannot have (flock(2)).
            return _lock_file(path / ".lock")
        raise
    return descriptor


def _lock_file(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
