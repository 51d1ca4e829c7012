# SPDX-License-Identifier: MIT
"""images/lock.toml: which file of a publisher each cloud image is, by name, size and digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmlab.cloud_image import Algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedImage:
    """The file that an image was when it was locked."""

    id: str
    name: str
    size_bytes: int
    algorithm: Algorithm
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLock:
    """All locked images, by id."""

    path: Path
    rows: Mapping[str, LockedImage] = field(default_factory=dict)
