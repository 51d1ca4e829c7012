# SPDX-License-Identifier: MIT
"""Directories and small files that only this user can write: made so, and checked before they are believed.

In /var/tmp any user can make a directory, a FIFO or a link under any name, and read what others leave readable.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
from os import geteuid
from pathlib import Path
from typing import Any

from vmlab.errors import HostError

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def private_directory(path: Path, *, mode: int = 0o700) -> Path:
    """Return a directory that only this user can write, made with `mode` (whatever the umask) if it is missing.

    Raises `HostError`, which names the owner, when another user was first to take the name, or others can write to it.
    """
    try:
        path.mkdir(mode)
    except FileExistsError:
        pass
    except OSError as error:
        raise HostError(f"cannot make {str(path)!r}: {error.strerror}") from None
    found = path.lstat()
    if not _is_private(found):
        raise HostError(
            f"cannot use {str(path)!r}: it is {_described(found)}, not a directory that only you can write",
            hint=f"have {user_named(found.st_uid)} or root remove it",
        )
    if stat.S_IMODE(found.st_mode) != mode:
        path.chmod(mode)
    return path


def is_own_directory(path: Path) -> bool:
    """True if a path is a directory of this user, and not a link to one. Others may be able to write to it."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == geteuid()


def is_private_directory(path: Path) -> bool:
    """True if a path is a directory that only this user can write."""
    try:
        return _is_private(path.lstat())
    except OSError:
        return False


def read_small_json(path: Path, *, limit_bytes: int, must_be_own: bool = False) -> Any:
    """Return the value in a small JSON file, as `read_small` reads it; raises `ValueError` for deep nesting too."""
    raw = read_small(path, limit_bytes=limit_bytes, must_be_own=must_be_own)
    try:
        return json.loads(raw.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_small(path: Path, *, limit_bytes: int, must_be_own: bool = False) -> bytes:
    """Return the contents of a small file.

    Raises `OSError` or `ValueError` for anything but a readable regular file of at most `limit_bytes`: a link, a FIFO
    (which would block without `O_NONBLOCK`). With `must_be_own` it must belong to this user alone and have no second
    name.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("it is not a regular file")
        if must_be_own and (found.st_uid != geteuid() or found.st_nlink != 1 or found.st_mode & _WRITABLE_BY_OTHERS):
            raise ValueError(f"it is {_described(found)}")
        raw = stream.read(limit_bytes + 1)
    if len(raw) > limit_bytes:
        raise ValueError(f"it is larger than {limit_bytes} bytes")
    return raw


def _is_private(found: os.stat_result) -> bool:
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == geteuid()
    return is_ours and not found.st_mode & _WRITABLE_BY_OTHERS


def _described(found: os.stat_result) -> str:
    kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO"}
    kind = kinds.get(stat.S_IFMT(found.st_mode), "a file")
    return f"{kind} of {user_named(found.st_uid)} with mode {stat.S_IMODE(found.st_mode):04o}"


def user_named(uid: int) -> str:
    """Return a user for a message: `user lab`, or `uid 1000` when the number has no name."""
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"uid {uid}"
