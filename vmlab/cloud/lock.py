# SPDX-License-Identifier: MIT
"""lock.toml: which file of a publisher each cloud image is, by name, size and digest.

What is fetched is what is locked, or nothing. A row is written when its publisher was asked; an image that nobody asked
for yet has none.
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
# The publishers' files that cloud images are made of. Written by `vmlab images lock`; `vmlab images check` tells what
# moved since. An image without a row was not asked for yet, and is not fetched.
"""
_NAME = "lock.toml"
_HEX = {Algorithm.SHA256: re.compile(r"[0-9a-f]{64}"), Algorithm.SHA512: re.compile(r"[0-9a-f]{128}")}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """The file that an image was when it was locked."""

    id: str
    name: str
    size_bytes: int
    algorithm: Algorithm
    digest: str

    def require(self, path: Path, *, what: str) -> None:
        """Raises `AssetError` when a file is not this one, by size or by digest. Reads it once."""
        size = path.stat().st_size
        if size != self.size_bytes:
            raise AssetError(f"{what} has {size} bytes, and {self.size_bytes} are locked", hint=self.how_to_lock)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, self.algorithm).hexdigest()
        if digest != self.digest:
            raise AssetError(
                f"{what} has {self.algorithm} {digest}, and {self.digest} is locked", hint=self.how_to_lock
            )

    @property
    def how_to_lock(self) -> str:
        return f"`vmlab images check {self.id}` asks the publisher, `vmlab images lock {self.id}` takes what it offers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLock:
    """All locked images, by id."""

    path: Path
    rows: Mapping[str, LockedImage] = field(default_factory=dict)
    shipped: Mapping[str, LockedImage] = field(default_factory=dict)
    """Those among them that an installed vmlab brought; the file holds the others."""

    def row(self, image: CloudImage) -> LockedImage:
        """An image's row; `AssetError` with what to type when it has none."""
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
    """The lock in a file; an empty one when there is no such file.

    Raises `UsageError` that names file and key for what was not written by `write_lock`.
    """
    if not path.exists():
        return ImageLock(path=path)
    try:
        found = structure(read_toml(path), _File, where=str(path))
        rows: dict[str, LockedImage] = {}
        for row in found.image:
            _check(row, path)
            if rows.setdefault(row.id, row) is not row:
                raise UsageError(f"{path}: image {row.id!r} is there twice")
    except UsageError as error:
        raise UsageError(
            f"the lock is damaged: {error.message}", hint="restore it, or remove it and type `vmlab images lock`"
        ) from None
    return ImageLock(path=path, rows=rows)


def lock_of(settings: Settings) -> ImageLock:
    """The lock that the settings name: the one named, the one of the user's catalogue, or vmlab's own.

    Of an installed vmlab the user's own file is read over the one in the package, which is never written.
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
    """Raise `AssetError` that names the targets whose images would be neither found nor fetched, for want of a row, and
    what to type. Reads the lock when a target has a cloud image at all."""
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
        f"{some(told)} {verb} not locked: {path.name} does not say which file to fetch",
        hint=f"`{' '.join(['vmlab images lock', *chosen])}` asks the publisher and writes it down",
    )


def write_lock(lock: ImageLock) -> None:
    """Write a lock to its file, whole or not at all; `HostError` when that cannot be written."""
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
            f"the lock {str(lock.path)!r} was not written: {error.message}", hint="name another with --vmlab-lock FILE"
        ) from error


def is_name(text: str) -> bool:
    """Whether a publisher's file may be called so: no part of a path, nothing that a shell or a URL reads otherwise."""
    return re.fullmatch(r"[\w.+~-]+", text, re.ASCII) is not None


def _check(row: LockedImage, path: Path) -> None:
    at = f"{path}: image {row.id!r}"
    if not _HEX[row.algorithm].fullmatch(row.digest):
        raise UsageError(f"{at}: digest: {row.digest!r} is no {row.algorithm}")
    if row.size_bytes <= 0:
        raise UsageError(f"{at}: size_bytes: {row.size_bytes} is no size of a file")
    if not is_name(row.name):
        raise UsageError(f"{at}: name: {row.name!r} is no name of a file")
