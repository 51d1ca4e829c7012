# SPDX-License-Identifier: MIT
"""The directory of a store: its objects' paths, and who else can reach it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.files import is_directory


def require_directory(root: Path) -> None:
    """Raise `HostError` when a store's path is something else than a directory that this user can enter. It may be
    missing."""
    if is_directory(root):
        what = "" if os.access(root, os.X_OK) else "not a directory that you can enter"
    elif not os.path.lexists(root):
        what = ""
    else:
        what = f"a link to {str(root.readlink())!r}, which does not exist" if root.is_symlink() else "not a directory"
    if what:
        raise HostError(f"the store {str(root)!r} is {what}", hint="choose another directory with --vmlab-store")


def object_paths(root: Path) -> list[Path]:
    """Return the paths of a store's objects, damaged ones too, sorted; none if there is no store yet.

    Raises `HostError` if it is not a directory that can be read.
    """
    require_directory(root)
    try:
        kinds = sorted((root / "objects").iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        message = f"cannot read the objects of the store {str(root)!r}: {error.strerror}"
        raise HostError(message, hint="choose another directory with --vmlab-store") from None
    found: list[Path] = []
    for kind in kinds:
        with contextlib.suppress(OSError):
            found += sorted(kind.iterdir())
    return found


def is_open(root: Path) -> bool:
    """True if other users can read something in a store, as in one that is shared."""
    return bool(_mode(root) & (stat.S_IRWXG | stat.S_IRWXO))


def writable_by_others(root: Path) -> Iterator[Path]:
    """Yield what other users can change in a store that they can enter: directories, keys and objects' files."""
    if not _mode(root) & (stat.S_IXGRP | stat.S_IXOTH):
        return
    yield from filter(_is_writable_by_others, (root, *sorted(root.glob("*/")), *sorted(root.glob("objects/*/"))))
    for folder in object_paths(root):
        yield from filter(_is_writable_by_others, (folder, *sorted(folder.glob("*"))))
    yield from filter(_is_writable_by_others, sorted(root.glob("keys/*")))


def _is_writable_by_others(path: Path) -> bool:
    return not path.is_symlink() and bool(_mode(path) & (stat.S_IWGRP | stat.S_IWOTH))


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except OSError:
        return 0
