# SPDX-License-Identifier: MIT
"""The directory of a store: what marks it, which paths in it are the lab's, and who else can reach it.

A directory may be named as a store by mistake, and a store may contain other people's files and links to them. The lab
removes only what has a name of its form, and follows no link below the root, which may be one itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

from vmlab.errors import HostError
from vmlab.system.files import disk_error, is_directory

MARKER = ".vmlab-store"
"""File that the lab writes into each store."""
_DIGEST = "[0-9a-f]{20}"
_FORMS = {
    "objects": re.compile("[a-z]+(-[a-z]+)*"),
    "tmp": re.compile(rf"[a-z-]+-{_DIGEST}\.\d+|index-[\w.+-]+\.[a-z0-9_]{{8}}", re.ASCII),
    "parts": re.compile(f"[a-z-]+-{_DIGEST}"),
    "downloads": re.compile(r"[a-z][\w.-]*", re.ASCII),
}
"""Names of the directories in a store's directories."""
_NAMES = _FORMS.keys() | {"keys", "locks", "logs", "notes"}
_SIGNS = ("locks/*.lock", "objects/*/*/manifest.json", "notes/*.json", "keys/*.pub")
"""Files of a store without a marker: one of an earlier version, or one that was restored from a cache."""


def require_directory(root: Path) -> None:
    """Raise `HostError` when a store's path is something else than a directory that this user can enter. It may be
    missing."""
    # In this order: another process may make it meanwhile.
    if not os.path.lexists(root):
        what = ""
    elif is_directory(root):
        what = "" if os.access(root, os.X_OK) else "not a directory that you can enter"
    else:
        what = f"a link to {str(root.readlink())!r}, which does not exist" if root.is_symlink() else "not a directory"
    if what:
        raise HostError(f"the store {str(root)!r} is {what}", hint="choose another directory with --vmlab-store")


def is_store(root: Path) -> bool:
    """True if a directory is a store, False if it is missing or empty; raises `HostError` if it is anything else."""
    require_directory(root)
    try:
        names = {path.name for path in root.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        message = f"cannot read the store {str(root)!r}: {error.strerror}"
        raise HostError(message, hint="choose another directory with --vmlab-store") from None
    if MARKER in names:
        return True
    # No look into what another process makes meanwhile: the marker comes before anything else.
    if not names:
        return False
    strange = sorted(names - _NAMES - {"lost+found"})
    if not strange and any(next(root.glob(sign), None) for sign in _SIGNS):
        return True
    if not strange and next(root.glob("*/*"), None) is None:
        return False
    why = f"it contains {strange[0]!r}" if strange else "no file in it was made by vmlab"
    raise HostError(
        f"{str(root)!r} is not a vmlab store: {why}",
        hint=f"choose another directory with --vmlab-store; to use it all the same, "
        f"`touch {shlex.quote(str(root / MARKER))}`",
    )


def make_directory(root: Path, name: str) -> Path:
    """Return a directory of a store, and make it and the store if they are missing.

    All that is made is for this user alone, whatever the umask. Raises `HostError` for a link in the store, and for a
    directory that is not a store.
    """
    is_store(root)
    path = root
    try:
        for directory in (*reversed(root.parents), root):
            _make(directory)
        # Before anything else: another process may look at the directory now.
        if not os.path.lexists(root / MARKER):
            (root / MARKER).touch(mode=0o600)
        for part in Path(name).parts:
            path /= part
            _make(path)
            if path.is_symlink():
                raise HostError(
                    f"cannot use {str(path)!r}: a link in a store is not followed",
                    hint="replace it by a directory; the whole store may be a link",
                )
    except OSError as error:
        require_directory(root)
        raise disk_error(error, root) from error
    return path


def _make(directory: Path) -> None:
    if not directory.is_dir():
        directory.mkdir(mode=0o700, exist_ok=True)
        directory.chmod(0o700)


def object_paths(root: Path) -> list[Path]:
    """Return the paths of a store's objects, damaged ones too, sorted; none if there is no store yet."""
    require_directory(root)
    return [path for kind in folders(root, "objects") for path in _inside(kind) if re.fullmatch(_DIGEST, path.name)]


def folders(root: Path, name: str) -> list[Path]:
    """Return the lab's directories in a directory of a store; links are left out."""
    return [path for path in _inside(root / name) if _is_ours(path, name)]


def strangers(root: Path) -> Iterator[Path]:
    """Yield what the lab did not make where it makes and removes directories: it is never followed or removed."""
    for name in _FORMS:
        if (root / name).is_symlink():
            yield root / name
        yield from (path for path in _inside(root / name) if not _is_ours(path, name))
    for kind in folders(root, "objects"):
        yield from (path for path in _inside(kind) if not re.fullmatch(_DIGEST, path.name))


def is_real_directory(path: Path) -> bool:
    """True if a path is a directory and not a link to one."""
    return stat.S_ISDIR(_status(path))


def _is_ours(path: Path, name: str) -> bool:
    return _FORMS[name].fullmatch(path.name) is not None and is_real_directory(path)


def _inside(folder: Path) -> list[Path]:
    """Return the sorted entries of a directory; none if it is a link, or cannot be read."""
    if is_real_directory(folder):
        with contextlib.suppress(OSError):
            return sorted(folder.iterdir())
    return []


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
    return stat.S_IMODE(_status(path))


def _status(path: Path) -> int:
    """Return a path's kind and mode; 0 if it is missing or cannot be reached."""
    try:
        return path.lstat().st_mode
    except OSError:
        return 0
