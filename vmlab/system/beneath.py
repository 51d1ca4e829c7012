# SPDX-License-Identifier: MIT
"""Regular files below a directory, opened without following links: the tree's owner is not trusted."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path, PurePosixPath

_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 2**20


class NotTaken(Exception):
    """A file that is not a regular file below the directory, or is too large; the text completes "NAME …"."""


def kind_of(mode: int) -> str:
    """Return the kind of a file that is not a regular one, with its article, from `st_mode`."""
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def open_beneath(directory: Path | int, name: str) -> int:
    """Return a descriptor, for reading, of the regular file `name` below a directory (a path or a descriptor).

    Raises `NotTaken` if the name leads out, a component is a link, or the file is not a regular one; `OSError` if it
    does not exist or cannot be read. A FIFO or a device is not opened: O_PATH (open(2)) only names it.
    """
    parts = _parts(name)
    step = os.open(directory, _STEP | os.O_DIRECTORY) if isinstance(directory, Path) else os.dup(directory)
    try:
        for number, part in enumerate(parts, start=1):
            inner = os.open(part, _STEP, dir_fd=step)
            os.close(step)
            step = inner
            mode = os.fstat(step).st_mode
            if number < len(parts) and not stat.S_ISDIR(mode):
                raise NotTaken(f"is reached through {kind_of(mode)}")
        if not stat.S_ISREG(mode):
            raise NotTaken(f"is {kind_of(mode)}")
        return os.open(f"/proc/self/fd/{step}", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    finally:
        os.close(step)


def read_beneath(directory: Path | int, name: str, *, largest_bytes: int) -> tuple[bytes, os.stat_result]:
    """Return the content and the status of a regular file; raises as `open_beneath`, and for a larger file."""
    with os.fdopen(open_beneath(directory, name), "rb") as file:
        content = file.read(largest_bytes + 1)
        if len(content) > largest_bytes:
            raise NotTaken(f"is larger than {largest_bytes // 2**20} MiB")
        return content, os.fstat(file.fileno())


def copy_beneath(directory: Path | int, name: str, local: Path, *, largest_bytes: int) -> None:
    """Copy the content of a regular file to `local`; raises as `read_beneath`, before anything is written if the size
    is known to be too large."""
    with os.fdopen(open_beneath(directory, name), "rb") as file:
        too_large = NotTaken(f"is larger than {largest_bytes // 2**20} MiB")
        if os.fstat(file.fileno()).st_size > largest_bytes:
            raise too_large
        rest = largest_bytes
        with local.open("wb") as copy:
            while chunk := file.read(_CHUNK):
                rest -= len(chunk)
                if rest < 0:
                    raise too_large
                copy.write(chunk)


def write_beneath(directory: int, name: str, content: bytes, *, mode: int, mtime_ns: int) -> None:
    """Write the file `name` below a directory, replacing an old one; folders that are missing get mode 0777.

    Raises `NotTaken` if the name leads out, `OSError` if a component is a link, or on a failed write.
    """
    *folders, last = _parts(name)
    step = os.dup(directory)
    try:
        for folder in folders:
            inner = _folder(folder, step)
            os.close(step)
            step = inner
        with contextlib.suppress(FileNotFoundError):
            os.unlink(last, dir_fd=step)
        with os.fdopen(os.open(last, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, dir_fd=step), "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.utime(file.fileno(), ns=(mtime_ns, mtime_ns))
    finally:
        os.close(step)


def _folder(name: str, parent: int) -> int:
    is_new = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
        is_new = True
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    if is_new:
        os.fchmod(descriptor, 0o777)
    return descriptor


def _parts(name: str) -> tuple[str, ...]:
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        raise NotTaken("leads out of its directory")
    return parts
