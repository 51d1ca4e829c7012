# SPDX-License-Identifier: MIT
"""A sealed object in a store: loaded, and checked against its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.decode import structure
from vmlab.errors import AssetError, UsageError
from vmlab.store.seal import disk_bytes, first_difference
from vmlab.store.trees import ProvedTrees
from vmlab.system.private import read_small_json

MANIFEST = "manifest.json"
_MANIFEST_BYTES = 4 * 2**20
"""Largest manifest: a thousand times the usual size."""
_WORDS = ("target", "release", "name", "ko", "cloud_image", "root")
"""Facts that are text."""
_NAME_BYTES = 255
"""NAME_MAX of Linux (limits.h)."""
_MOST_BYTES = 2**50
"""Larger than any file system that holds a store."""
_SHARED_HINT = "have the shared store's maintainer rebuild it, or build it here: run without --vmlab-shared-store"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A sealed object in the store."""

    kind: str
    digest: str
    path: Path
    inputs: Mapping[str, Any]
    facts: Mapping[str, Any]
    """Facts that its builder recorded, such as package versions."""
    created: float
    size_bytes: int
    """Size on disk."""
    seal: str
    """Digest of its files: a rebuild from the same inputs may give other bytes."""
    is_new: bool = False
    is_shared: bool = False
    """True if it is in the shared store, which this host only reads."""

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def image(self) -> str:
        """Digest of the image that it was made from; another text if it was made from none."""
        return str(self.inputs.get("image", ""))

    @property
    def label(self) -> str:
        """Name for people: its own name, or its target, module or suite."""
        for key in ("name", "target", "ko"):
            if key in self.facts:
                return str(self.facts[key])
        return str(self.inputs.get("codename", self.digest))


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """A file of an object, or a folder with its whole tree."""

    size: int
    sha256: str
    mtime_ns: int
    disk: int = -1
    """Size on disk; -1 in a manifest of an earlier version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Manifest:
    inputs: dict[str, Any]
    facts: dict[str, Any]
    created: float
    files: dict[str, FileRow]
    schema: int = 1


def digest_of(inputs: Mapping[str, Any]) -> str:
    """Return the name of an object with these inputs: 20 hex digits (80 bits) of a SHA-256."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def load_object(path: Path, *, is_new: bool = False, is_shared: bool = False) -> StoredObject:
    """Load the object in a directory; raises `AssetError` when its manifest is missing or damaged."""
    manifest, rows = _read_manifest(path, is_shared=is_shared)
    return StoredObject(
        kind=path.parent.name,
        digest=path.name,
        path=path,
        inputs=manifest.inputs,
        facts=manifest.facts,
        created=manifest.created,
        # A wrong number must not let the budget remove all other objects.
        size_bytes=sum(
            disk_bytes(path / name, row.size if row.disk < 0 else row.disk) for name, row in manifest.files.items()
        ),
        seal=digest_of(rows),
        is_new=is_new,
        is_shared=is_shared,
    )


def check_object(item: StoredObject, proved: ProvedTrees, *, deep: bool) -> None:
    """Raise `AssetError` when a file of an object differs from its manifest; `deep` hashes every file."""
    _, rows = _read_manifest(item.path, is_shared=item.is_shared)
    try:
        difference = first_difference(item.path, rows, proved, deep=deep)
    except OSError as error:
        difference = (Path(str(error.filename)).name, f"cannot be read ({error.strerror})")
    if difference is not None:
        raise AssetError(
            f"{item.kind} {item.label} in the store is damaged: {difference[0]} {difference[1]}",
            hint=_SHARED_HINT
            if item.is_shared
            else "`vmlab images prune --damaged` removes it; the next run builds it again",
        )


def _read_manifest(path: Path, *, is_shared: bool) -> tuple[_Manifest, dict[str, Any]]:
    """Return an object's manifest, and its rows of files as they are written there."""
    try:
        if path.is_symlink() and not is_shared:
            raise ValueError("it is below a link")
        raw = read_small_json(path / MANIFEST, limit_bytes=_MANIFEST_BYTES)
        manifest = structure(raw, _Manifest, where="it")
        _require_sound(manifest, path.name)
    except (OSError, ValueError, UsageError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise AssetError(
            f"{path.parent.name} {path.name} in the store is damaged: its manifest cannot be read ({why})",
            hint=_SHARED_HINT if is_shared else "`vmlab images prune --damaged` removes it",
        ) from error
    return manifest, raw["files"]


def _require_sound(manifest: _Manifest, digest: str) -> None:
    if digest_of(manifest.inputs) != digest:
        raise ValueError("its inputs are not those of the object's name")
    for name, row in manifest.files.items():
        is_possible = name.isprintable() and len(name.encode()) <= _NAME_BYTES
        if not is_possible or name != Path(name).name or name in ("", "..", MANIFEST):
            raise ValueError(f"it has a file {name[:_NAME_BYTES]!r}")
        if not 0 <= row.size <= _MOST_BYTES or not -1 <= row.disk <= row.size:
            raise ValueError(f"its file {name} has {row.disk} of {row.size} bytes on disk")
    for word in _WORDS:
        if not isinstance(manifest.facts.get(word, ""), str):
            raise ValueError(f"its fact {word} is not text")
