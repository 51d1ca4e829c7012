# SPDX-License-Identifier: MIT
"""Open files that QEMU inherits: its user may not open the store's files, nor reach them by their paths."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
from pathlib import Path
from types import TracebackType

from vmlab.errors import AssetError
from vmlab.host.confinement import Confinement
from vmlab.system.files import disk_error

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
_MOST_AT_ONCE = 2**30
_SHARED_MODE = 0o660


class NotGranted(Exception):
    """The file system refuses to give a file another group, such as NFS to root."""


class Names:
    """Names of files in QEMU's arguments: their paths. For arguments that are compared and start nothing."""

    def readable(self, path: Path) -> Path:
        """Name a file that QEMU opens with open(2)."""
        return path

    def drive(self, path: Path, *, is_writable: bool = False) -> Path:
        """Name a file that QEMU's block layer opens."""
        del is_writable
        return path

    def words(self) -> list[str]:
        """QEMU's arguments that declare the names."""
        return []


class Handover(Names):
    """Names of open files, which a QEMU inherits as `descriptors`; a context manager that closes them.

    A name in /dev/fdset is a duplicate of the descriptor (QEMU's docs/interop/qmp-ref, add-fd): it needs no
    permission, and allows no more than the descriptor. A name in /proc/self/fd opens the file again: it needs the
    file's permission, but not that of the directories above it.
    """

    def __init__(self, confinement: Confinement) -> None:
        self.descriptors: list[int] = []
        self.confinement = confinement
        self._paths: dict[str, Path] = {}
        self._sets: list[int] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Handover:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the lab's descriptors; QEMU has its own."""
        self._stack.close()

    def readable(self, path: Path) -> Path:
        """Name a file that QEMU reads with open(2): for another user, a sealed copy in memory, made once per process.

        QEMU opens kernel and initrd itself, and its user may not open the store's.
        """
        if self.confinement.user is None:
            return self._named(self.open(path, os.O_RDONLY), path)
        try:
            found = path.stat()
            copy = _sealed_copy(path, found.st_ino, found.st_mtime_ns)
        except OSError as error:
            raise _unreadable(path, error) from None
        return self._named(self.open(Path(f"/proc/self/fd/{copy}"), os.O_RDONLY), path)

    def drive(self, path: Path, *, is_writable: bool = False) -> Path:
        """Name a file that QEMU's block layer opens, read-only unless `is_writable`."""
        return self._in_set(self.open(path, os.O_RDWR if is_writable else os.O_RDONLY), path)

    def log(self, path: Path) -> Path:
        """Name a file that QEMU appends to."""
        return self._in_set(self.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode=0o666), path)

    def memory(self, path: Path) -> Path:
        """Name a file that holds a guest's memory, made if it does not exist.

        QEMU before 8.2 opens it for writing in any case, so its group gets that permission. A write by the group shows
        in the file's time, which only the owner can set (utimensat(2)), and which the store compares. Raises
        `NotGranted`.
        """
        descriptor = self.open(path, os.O_RDWR | os.O_CREAT)
        try:
            self.confinement.grant(descriptor, _SHARED_MODE)
        except OSError as error:
            raise NotGranted(f"{path} cannot be given to another group: {error.strerror}") from None
        return self._named(descriptor, path)

    def directory(self, path: Path) -> Path:
        """Name a directory in which QEMU may open files that it is permitted to, but list and make none."""
        descriptor = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self.confinement.grant(descriptor, 0o710)
        return self._named(descriptor, path)

    def pipe(self, path: Path) -> None:
        """Let QEMU open a named pipe."""
        # For reading and writing: an open(2) for one of them waits for the other end.
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.confinement.grant(descriptor, _SHARED_MODE)
        finally:
            os.close(descriptor)

    def words(self) -> list[str]:
        """QEMU's arguments that declare the descriptors which its block layer and logs use."""
        return [word for number in self._sets for word in ("-add-fd", f"fd={number},set={number}")]

    def with_paths(self, words: str) -> str:
        """Replace the names in QEMU's messages by the files' paths."""
        # The longest first: /dev/fdset/1 is the beginning of /dev/fdset/12.
        for name in sorted(self._paths, key=len, reverse=True):
            words = words.replace(name, str(self._paths[name]))
        return words

    def open(self, path: Path, flags: int, *, mode: int = 0o600) -> int:
        """Return a descriptor of a file, which is closed with the others.

        Raises `AssetError` if it cannot be read, `HostError` if it cannot be made or written.
        """
        try:
            return self.adopt(os.open(path, flags | os.O_CLOEXEC, mode))
        except OSError as error:
            if flags & os.O_CREAT:
                raise disk_error(error, path.parent) from None
            raise _unreadable(path, error) from None

    def adopt(self, descriptor: int) -> int:
        """Take over an open descriptor, and return it."""
        self._stack.callback(os.close, descriptor)
        self.descriptors.append(descriptor)
        return descriptor

    def _named(self, descriptor: int, path: Path) -> Path:
        return self._name(Path(f"/proc/self/fd/{descriptor}"), path)

    def _in_set(self, descriptor: int, path: Path) -> Path:
        self._sets.append(descriptor)
        return self._name(Path(f"/dev/fdset/{descriptor}"), path)

    def _name(self, name: Path, path: Path) -> Path:
        self._paths[str(name)] = path
        return name


def _unreadable(path: Path, error: OSError) -> AssetError:
    return AssetError(f"cannot open {str(path)!r}: {error.strerror}", hint="vmlab images verify")


@functools.cache
def _sealed_copy(path: Path, inode: int, mtime_ns: int) -> int:
    """Return a copy of a file in memory that nobody can change (memfd_create(2)); open as long as this process."""
    del inode, mtime_ns  # a replaced file is copied again
    copy = os.memfd_create(path.name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with path.open("rb") as file:
        while os.sendfile(copy, file.fileno(), None, _MOST_AT_ONCE):
            pass
    fcntl.fcntl(copy, fcntl.F_ADD_SEALS, _SEALS)
    return copy
