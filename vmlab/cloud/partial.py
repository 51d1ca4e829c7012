# SPDX-License-Identifier: MIT
"""A file that is being fetched: what of it is there already, and what to know to go on.

It outlives the process that fetches it, so that the next one goes on where it ended. Nobody but the holder of the
lock of that name touches it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from filelock import FileLock, Timeout

from vmlab.errors import HostError
from vmlab.store.store import Store
from vmlab.system.files import remove_tree, replace_file

_DIRECTORY = "parts"
_SPARE_MIB = 64
"""What a store needs beside the file itself: manifests, logs."""


class Part:
    """The part of a file; `name` is that of the store's lock that its owner holds. A context manager that closes it."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._directory = store.directory(f"{_DIRECTORY}/{name}")
        self.path = self._directory / "data"
        self._origin = self._directory / "origin.json"
        self._stream: BinaryIO = self.path.open("ab")
        self.is_patched = self.size > 0
        """Whether it came in more than one answer, which need not have been of one file."""

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What is still in the buffer does not fit on a full disk, and the error is told already.
        with contextlib.suppress(OSError):
            self._stream.close()

    @property
    def size(self) -> int:
        return self._stream.tell()

    def append(self, chunk: bytes) -> None:
        self._stream.write(chunk)
        # What was written counts as there: a killed process keeps all of it, and a full disk is noticed here.
        self._stream.flush()

    def restart(self) -> None:
        """Forget what is there."""
        self._stream.truncate(0)
        self._stream.seek(0)
        self._origin.unlink(missing_ok=True)
        self.is_patched = False

    def validator(self, url: str) -> str:
        """The strong entity tag that this address gave with the beginning; empty when it gave none.

        RFC 9110, 8.8.1 and 13.1.5: only a strong one tells that the bytes are the same.
        """
        try:
            known = json.loads(self._origin.read_text(encoding="utf-8"))
            return str(known["etag"]) if known["url"] == url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def remember(self, url: str, etag: str) -> None:
        """Keep what came with the beginning of the file."""
        is_strong = etag.startswith('"')
        replace_file(self._origin, json.dumps({"url": url, "etag": etag if is_strong else ""}))

    def require_room(self, total_bytes: int, *, what: str) -> None:
        """Raises `HostError` when the rest does not fit on the disk."""
        free = shutil.disk_usage(self._directory).free
        needed = total_bytes - self.size + _SPARE_MIB * 2**20
        if free < needed:
            raise HostError(
                f"no space left in {str(self._store.root)!r}: {free // 2**20} MiB free, {what} takes "
                f"{needed // 2**20} more",
                hint="free some with `vmlab images prune`, or name a larger place with --vmlab-store",
            )

    def move_to(self, path: Path) -> None:
        """Hand the whole file over, and leave nothing behind."""
        self._stream.close()
        self.path.rename(path)
        self._origin.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._directory.rmdir()


def remove_parts(store: Store) -> Iterator[tuple[str, int]]:
    """Remove the parts that nobody is fetching; yields the name and size of each."""
    for directory in sorted((store.root / _DIRECTORY).glob("*")):
        locks = store.directory("locks")
        with contextlib.suppress(Timeout), FileLock(locks / f"{directory.name}.lock", timeout=0):
            data = directory / "data"
            size = data.stat().st_size if data.is_file() else 0
            remove_tree(directory)
            yield directory.name, size
