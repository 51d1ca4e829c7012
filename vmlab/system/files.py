# SPDX-License-Identifier: MIT
"""Atomic writes, removal of directory trees, and errors of failed writes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.process import run


def replace_file(path: Path, text: str) -> None:
    """Write a small file atomically: readers see the old or the new content, never a part.

    The temporary file beside it is new: what has its name, such as a link that another user planted, is not written to.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("x", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise disk_error(error, path.parent) from error


def disk_error(error: OSError, path: Path) -> HostError:
    """Return the `HostError` for a failed write, with the free space when that was the cause."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        free_mib = shutil.disk_usage(path).free // 2**20 if path.exists() else 0
        return HostError(
            f"no space left in {str(path)!r}: {free_mib} MiB free",
            hint="free space with `vmlab images prune`, or choose a larger disk with --vmlab-store",
        )
    hint = "choose another directory with --vmlab-store"
    if error.errno == errno.EROFS:
        hint += ", and pass a read-only store with --vmlab-shared-store"
    return HostError(f"cannot write to {str(path)!r}: {error.strerror}", hint=hint)


def is_file(path: Path) -> bool:
    """True if a path is a file that can be reached; `Path.is_file` raises if a directory above it cannot be entered."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def is_directory(path: Path) -> bool:
    """True if a path is a directory that can be reached."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def remove_tree(path: Path) -> None:
    """Delete a directory, if it exists, without crossing a mount point below it; a link itself, not what it leads to.

    Read-only directories, which unpacked root file systems contain, are made writable for an ordinary user.
    """
    if not os.path.lexists(path):
        return
    remove = ["rm", "-rf", "--one-file-system", "--", str(path)]
    if run(remove, timeout_s=600).ok:
        return
    locked = ["-xdev", "-type", "d", "!", "-perm", "-700", "-exec", "chmod", "u+rwx", "{}", ";"]
    run(["find", str(path), *locked], timeout_s=600)
    removed = run(remove, timeout_s=600)
    if not removed.ok:
        raise HostError(f"cannot remove {str(path)!r}", hint="remove it by hand", detail=removed.tail)
