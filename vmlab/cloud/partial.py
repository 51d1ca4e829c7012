# SPDX-License-Identifier: MIT
"""A partly fetched file: its bytes so far, and the facts needed to complete it.

It outlives the process that fetches it, so that the next process completes it. Only the holder of the lock of that
name may change it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from vmlab.errors import HostError
from vmlab.store.place import folders
from vmlab.store.store import Store
from vmlab.system.files import disk_error, remove_tree, replace_file
from vmlab.system.private import read_small_json

_DIRECTORY = "parts"
_MOST_ORIGIN_BYTES = 2**16
"""Size limit of the file with the address and the tag."""
_SPARE_MIB = 64
"""Space that a store needs beside the file itself: manifests, logs."""


class Part:
    """A part of a file; `name` is the name of the store's lock that its owner holds. A context manager."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._directory = store.directory(f"{_DIRECTORY}/{name}")
        self.path = self._directory / "data"
        self._origin = self._directory / "origin.json"
        self._stream = _open(self.path)
        self.is_patched = self.size > 0
        """True if it came in more than one answer, possibly of different files."""

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # On a full disk the buffer cannot be written; that error is reported already.
        with contextlib.suppress(OSError):
            self._stream.close()

    @property
    def size(self) -> int:
        return self._stream.tell()

    def append(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        # Without a buffer, a killed process loses nothing, and a full disk is noticed here.
        self._stream.flush()

    def restart(self) -> None:
        """Discard all bytes so far."""
        self._stream.truncate(0)
        self._stream.seek(0)
        self._origin.unlink(missing_ok=True)
        self.is_patched = False

    def validator(self, url: str) -> str:
        """Return the strong entity tag that this address sent with the beginning; empty when it sent none.

        Only a strong tag guarantees the same bytes (RFC 9110, 8.8.1 and 13.1.5).
        """
        try:
            known = read_small_json(self._origin, limit_bytes=_MOST_ORIGIN_BYTES)
            return str(known["etag"]) if known["url"] == url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def remember(self, url: str, etag: str) -> None:
        """Store the address and entity tag of the beginning of the file."""
        is_strong = etag.startswith('"')
        replace_file(self._origin, json.dumps({"url": url, "etag": etag if is_strong else ""}))

    def require_room(self, total_bytes: int, *, what: str) -> None:
        """Raise `HostError` when the rest does not fit on the disk."""
        free = shutil.disk_usage(self._directory).free
        needed = total_bytes - self.size + _SPARE_MIB * 2**20
        if free < needed:
            raise HostError(
                f"no space left in {str(self._store.root)!r}: {free // 2**20} MiB free, {what} needs "
                f"{needed // 2**20} MiB more",
                hint="free space with `vmlab images prune`, or choose a larger disk with --vmlab-store",
            )

    def move_to(self, path: Path) -> None:
        """Move the complete file to `path`, and remove the rest of the part."""
        self._stream.close()
        self.path.rename(path)
        self._origin.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._directory.rmdir()


def _open(path: Path) -> BinaryIO:
    """Open a part's data to append; raises `HostError` for a link, which leads to another file, a FIFO or a device."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        stream = os.fdopen(os.open(path, flags, 0o600), "ab")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _not_regular(path) from None
        raise disk_error(error, path) from None
    found = os.fstat(stream.fileno())
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        stream.close()
        raise _not_regular(path)
    return stream


def _not_regular(path: Path) -> HostError:
    return HostError(f"cannot use {str(path)!r}: it is not a regular file with one name", hint="remove it")


def remove_parts(store: Store) -> Iterator[tuple[str, int]]:
    """Remove the parts that no process is fetching; yields the name and size of each."""
    for directory in folders(store.root, _DIRECTORY):
        with store.lock_if_free(directory.name) as is_free:
            if not is_free:
                continue
            data = directory / "data"
            size = data.stat().st_size if data.is_file() else 0
            remove_tree(directory)
            yield directory.name, size
