# SPDX-License-Identifier: MIT
"""Reads files of a root file system on the host, with its links followed as they are inside it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_MOST_LINKS = 40
"""MAXSYMLINKS in include/linux/namei.h."""
_LARGEST_BYTES = 16 * 2**20
"""Largest file that is read; a kernel configuration has 0.3 MiB."""


def read_in_root(root: Path, name: str) -> str:
    """Return the text of a regular file; an absolute link or `..` does not lead out of `root`.

    Raises `OSError` when the file is missing, not regular, or larger than 16 MiB. The tree must not change meanwhile.
    """
    descriptor = os.open(_place(root, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > _LARGEST_BYTES:
            raise OSError(errno.EINVAL, "not a regular file of at most 16 MiB", name)
        return file.read()


def _place(root: Path, name: str) -> Path:
    here: list[str] = []
    left, links = name.split("/")[::-1], 0
    while left:
        part = left.pop()
        place = root.joinpath(*here, part)
        if part == "..":
            del here[-1:]
        elif part in ("", "."):
            continue
        elif place.is_symlink():
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            target = str(place.readlink())
            here = [] if target.startswith("/") else here
            left += target.split("/")[::-1]
        else:
            here.append(part)
    return root.joinpath(*here)
