# SPDX-License-Identifier: MIT
"""lock.toml: name, size and digest of the publisher's file for each cloud image.

Only a locked file is fetched. `vmlab images lock` writes a row after querying the publisher; an image that was never
queried has none.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import platformdirs

from vmlab.catalogue.cloud_image import Algorithm, CloudImage
from vmlab.catalogue.matrix import catalogue_directory, is_packaged
from vmlab.catalogue.target import Target
from vmlab.decode import read_toml, structure
from vmlab.errors import AssetError, HostError, UsageError, some
from vmlab.settings import Settings
from vmlab.system.files import disk_error, replace_file

_HEADER = """\
# SPDX-License-Identifier: MIT
# The publishers' files that cloud images are made from. Written by `vmlab images lock`; `vmlab images check` lists the
# files that changed since. An image without a row is not locked yet, and is not fetched.
"""
_NAME = "lock.toml"
_HEX = {Algorithm.SHA256: re.compile(r"[0-9a-f]{64}"), Algorithm.SHA512: re.compile(r"[0-9a-f]{128}")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """A publisher's file at the time it was locked."""

    id: str
    name: str
    size_bytes: int
    algorithm: Algorithm
    digest: str

    def require(self, path: Path, *, what: str) -> None:
        """Raise `AssetError` when a file differs in size or digest. Reads it once."""
        size = path.stat().st_size
        if size != self.size_bytes:
            raise AssetError(f"{what} has {size} bytes, the lock has {self.size_bytes}", hint=self.how_to_lock)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, self.algorithm).hexdigest()
        if digest != self.digest:
            raise AssetError(f"{what} has {self.algorithm} {digest}, the lock has {self.digest}", hint=self.how_to_lock)

    @property
    def how_to_lock(self) -> str:
        return f"`vmlab images check {self.id}` queries the publisher, `vmlab images lock {self.id}` updates the lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLock:
    """All locked images, by id."""

    path: Path
    rows: Mapping[str, LockedImage] = field(default_factory=dict)
    shipped: Mapping[str, LockedImage] = field(default_factory=dict)
    """Rows that an installed vmlab contains; the file has the others."""

    def row(self, image: CloudImage) -> LockedImage:
        """Return an image's row; raises `AssetError` with the command to type when it has none."""
        row = self.rows.get(image.id)
        if row is None:
            raise _not_locked([image.id], [image.id], self.path)
        return row

    def with_row(self, row: LockedImage) -> ImageLock:
        return replace(self, rows={**self.rows, row.id: row})


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    image: tuple[LockedImage, ...] = ()


def read_lock(path: Path) -> ImageLock:
    """Read the lock in a file; a missing file gives an empty lock.

    Raises `UsageError` that names file and key for content that `write_lock` did not write.
    """
    if not path.exists():
        return ImageLock(path=path)
    try:
        found = structure(read_toml(path), _File, where=str(path))
        rows: dict[str, LockedImage] = {}
        for row in found.image:
            _check(row, path)
            if rows.setdefault(row.id, row) is not row:
                raise UsageError(f"{path}: image {row.id!r} is duplicated")
    except UsageError as error:
        raise UsageError(
            f"the lock is damaged: {error.message}", hint="restore it, or remove it and run `vmlab images lock`"
        ) from None
    return ImageLock(path=path, rows=rows)


def lock_of(settings: Settings) -> ImageLock:
    """Return the lock that the settings select: a named file, the user's catalogue's, or vmlab's.

    For an installed vmlab, the user's file overrides the one in the package, which is never written.
    """
    if settings.lock is not None or settings.catalogue is not None:
        return read_lock(settings.lock or (settings.catalogue or Path()) / _NAME)
    ours = catalogue_directory()
    if not is_packaged(ours):
        return read_lock(ours / _NAME)
    shipped = read_lock(ours / _NAME).rows
    own = read_lock(_own_directory() / _NAME)
    return replace(own, rows={**shipped, **own.rows}, shipped=shipped)


def _own_directory() -> Path:
    return platformdirs.user_config_path("vmlab")


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, directory) from error


def require_locked(targets: Iterable[Target], settings: Settings) -> None:
    """Raise `AssetError` that names the targets whose images have no row, and the command to type. Reads the lock only
    if a target has a cloud image."""
    images = {target.stock.id: target.cloud.image.id for target in targets if target.cloud is not None}
    if not images:
        return
    lock = lock_of(settings)
    missing = {target: image for target, image in images.items() if image not in lock.rows}
    if not missing:
        return
    raise _not_locked([f"{target} (image {image})" for target, image in missing.items()], missing, lock.path)


def _not_locked(told: Sequence[str], names: Iterable[str], path: Path) -> AssetError:
    verb = "is" if len(told) == 1 else "are"
    chosen = list(names) if some(told) == ", ".join(told) else []
    return AssetError(
        f"{some(told)} {verb} not locked: {path.name} does not name the file to fetch",
        hint=f"`{' '.join(['vmlab images lock', *chosen])}` queries the publisher and writes the lock",
    )


def write_lock(lock: ImageLock) -> None:
    """Write a lock to its file atomically; raises `HostError` when the file cannot be written."""
    tables = [
        f"[[image]]\nid = {json.dumps(row.id)}\nname = {json.dumps(row.name)}\nsize_bytes = {row.size_bytes}\n"
        f'algorithm = "{row.algorithm}"\ndigest = "{row.digest}"\n'
        for _, row in sorted(lock.rows.items())
        if lock.shipped.get(row.id) != row
    ]
    try:
        if lock.path.parent == _own_directory():
            _make(lock.path.parent)
        replace_file(lock.path, "\n".join([_HEADER, *tables]))
    except HostError as error:
        raise HostError(
            f"the lock {str(lock.path)!r} was not written: {error.message}",
            hint="choose another with --vmlab-lock FILE",
        ) from error


def is_name(text: str) -> bool:
    """True for a valid name of a publisher's file: no path, no character with a meaning in a shell or a URL."""
    return re.fullmatch(r"[\w.+~-]+", text, re.ASCII) is not None


def _check(row: LockedImage, path: Path) -> None:
    at = f"{path}: image {row.id!r}"
    if not _HEX[row.algorithm].fullmatch(row.digest):
        raise UsageError(f"{at}: digest must be a hexadecimal {row.algorithm}, got {row.digest!r}")
    if row.size_bytes <= 0:
        raise UsageError(f"{at}: size_bytes must be positive, got {row.size_bytes}")
    if not is_name(row.name):
        raise UsageError(f"{at}: name must be a file name, got {row.name!r}")
