# SPDX-License-Identifier: MIT
"""Manifest rows of an object's files: sizes, times, hashes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vmlab.store.trees import ProvedTrees, entries_below, tree_state

_SMALL_BYTES = 4 * 2**20
"""Largest file that is hashed at every check, in milliseconds: a snapshot's device state or a module."""

_LARGE_TREE_BYTES = 2**32
"""Eight times the size of a tool root."""


def survey(directory: Path) -> dict[str, dict[str, Any]]:
    """Return a row per file with its size, time and hash; a folder's row covers its whole tree.

    `disk` is the space that a file occupies: a guest's memory is mostly holes.
    """
    rows = {}
    for path in sorted(directory.iterdir()):
        found = path.stat()
        size, digest = tree_sum(path) if path.is_dir() else (found.st_size, _sha256(path))
        disk = size if path.is_dir() else min(size, found.st_blocks * 512)
        rows[path.name] = {"size": size, "disk": disk, "sha256": digest, "mtime_ns": found.st_mtime_ns}
    return rows


def first_difference(
    directory: Path, rows: Mapping[str, Mapping[str, Any]], proved: ProvedTrees, *, deep: bool
) -> tuple[str, str] | None:
    """Return the first file that differs from its row, and the difference; None when all match.

    Without `deep`, a large file whose size and time match is not hashed, nor a tree in a state that is proved.
    """
    for name, row in rows.items():
        file = directory / name
        try:
            found = file.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return name, "is missing"
        is_tree = stat.S_ISDIR(found.st_mode)
        if not is_tree and not stat.S_ISREG(found.st_mode):
            # A FIFO or a device could be read without end.
            return name, "is neither a file nor a folder"
        if not is_tree and found.st_size > row["size"]:
            return name, f"has {found.st_size} bytes, expected {row['size']}"
        # Before the hash: a later change has another state.
        state = tree_state(file) if is_tree else ""
        if is_tree:
            as_sealed = proved.has(name, state)
        else:
            as_sealed = found.st_mtime_ns == row["mtime_ns"] and found.st_size == row["size"]
        is_small = not is_tree and found.st_size <= _SMALL_BYTES
        if as_sealed and not is_small and not deep:
            continue
        size, digest = tree_sum(file) if is_tree else (found.st_size, _sha256(file))
        if digest != row["sha256"]:
            return name, f"has SHA-256 {digest[:12]}…, expected {row['sha256'][:12]}…"
        if size != row["size"]:
            return name, f"has {size} bytes, expected {row['size']}"
        if is_tree and not as_sealed:
            proved.add(name, state)
    return None


def disk_bytes(path: Path, row_bytes: int) -> int:
    """Return the space that a file or a tree occupies: its row's, unless the file system knows that it is less.

    A tree is measured only if its row is larger than a tool root is, since that takes a walk.
    """
    try:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            return min(row_bytes, found.st_blocks * 512)
        if row_bytes <= _LARGE_TREE_BYTES:
            return row_bytes
        return min(row_bytes, sum(entry.stat(follow_symlinks=False).st_size for entry in entries_below(path)))
    except OSError:
        return 0


def sync(directory: Path) -> None:
    """Flush a directory's files to disk: a power cut must not leave a manifest with empty files."""
    for path in (*directory.iterdir(), directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_sum(directory: Path) -> tuple[int, str]:
    """Return the size and digest of a tree: names, link targets, and contents with their executable bits."""
    total, digest = 0, hashlib.sha256()
    for entry in entries_below(directory):
        if entry.is_dir(follow_symlinks=False):
            continue
        path = Path(entry.path)
        digest.update(os.fsencode(path.relative_to(directory)) + b"\0")
        if entry.is_symlink():
            digest.update(os.fsencode(path.readlink()))
        elif entry.is_file():
            total += path.stat().st_size
            digest.update(bytes([path.stat().st_mode >> 6 & 1]) + bytes.fromhex(_sha256(path)))
    return total, digest.hexdigest()
