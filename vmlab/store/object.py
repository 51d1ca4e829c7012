# SPDX-License-Identifier: MIT
"""A sealed object in a store: loaded, and checked against its manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.errors import AssetError
from vmlab.store.seal import first_difference
from vmlab.store.trees import ProvedTrees

MANIFEST = "manifest.json"
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
    def label(self) -> str:
        """Name for people: its own name, or its target, module or suite."""
        for key in ("name", "target", "ko"):
            if key in self.facts:
                return str(self.facts[key])
        return str(self.inputs.get("codename", self.digest))


def digest_of(inputs: Mapping[str, Any]) -> str:
    """Return the name of an object with these inputs: 20 hex digits (80 bits) of a SHA-256."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def load_object(path: Path, *, is_new: bool = False, is_shared: bool = False) -> StoredObject:
    """Load the object in a directory; raises `AssetError` when its manifest cannot be read."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        return StoredObject(
            kind=path.parent.name,
            digest=path.name,
            path=path,
            inputs=manifest["inputs"],
            facts=manifest["facts"],
            created=manifest["created"],
            size_bytes=sum(row.get("disk", row["size"]) for row in manifest["files"].values()),
            seal=digest_of(manifest["files"]),
            is_new=is_new,
            is_shared=is_shared,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AssetError(
            f"{path.parent.name} {path.name} in the store is damaged: its manifest cannot be read ({error})",
            hint=_SHARED_HINT if is_shared else "`vmlab images prune --damaged` removes it",
        ) from error


def check_object(item: StoredObject, proved: ProvedTrees, *, deep: bool) -> None:
    """Raise `AssetError` when a file of an object differs from its manifest; `deep` hashes every file."""
    files = json.loads((item.path / MANIFEST).read_text(encoding="utf-8"))["files"]
    difference = first_difference(item.path, files, proved, deep=deep)
    if difference is not None:
        raise AssetError(
            f"{item.kind} {item.label} in the store is damaged: {difference[0]} {difference[1]}",
            hint=_SHARED_HINT
            if item.is_shared
            else "`vmlab images prune --damaged` removes it; the next run builds it again",
        )
