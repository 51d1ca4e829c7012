# SPDX-License-Identifier: MIT
"""The directory of a store: its objects' paths, and who else can reach it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vmlab.errors import HostError

_OTHER_STORE = "choose another directory with --vmlab-store"


def object_paths(root: Path) -> list[Path]:
    """Return the paths of a store's objects, damaged ones too, sorted; raises `HostError` if `root` is not a directory.

    A store that does not exist yet has none.
    """
    try:
        kinds = sorted((root / "objects").iterdir())
    except OSError as error:
        refusal = refusal_of(root)
        if refusal is not None:
            raise refusal from None
        if isinstance(error, FileNotFoundError):
            return []
        raise HostError(f"cannot read the store {str(root)!r}: {error.strerror}", hint=_OTHER_STORE) from None
    found: list[Path] = []
    for kind in kinds:
        with contextlib.suppress(OSError):
            found += sorted(kind.iterdir())
    return found


def refusal_of(root: Path) -> HostError | None:
    """Return the error for a store's path that something else than a directory has; None if a store can be there."""
    if root.is_dir() or not os.path.lexists(root):
        return None
    what = f"a link to {str(root.readlink())!r}, which does not exist" if root.is_symlink() else "not a directory"
    return HostError(f"the store {str(root)!r} is {what}", hint=_OTHER_STORE)


def is_open(root: Path) -> bool:
    """True if other users can read something in a store, as in one that is shared."""
    return bool(_mode(root) & (stat.S_IRWXG | stat.S_IRWXO))


def writable_by_others(root: Path) -> Iterator[Path]:
    """Yield what other users can change in a store that they can enter: directories, keys and objects' files."""
    if not _mode(root) & (stat.S_IXGRP | stat.S_IXOTH):
        return
    folders = [root, *sorted(root.glob("*/")), *sorted(root.glob("objects/*/")), *object_paths(root)]
    files = [file for folder in (root / "keys", *object_paths(root)) if folder.is_dir() for file in folder.iterdir()]
    for path in (*folders, *sorted(files)):
        if not path.is_symlink() and _mode(path) & (stat.S_IWGRP | stat.S_IWOTH):
            yield path


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.lstat().st_mode)
    except OSError:
        return 0
