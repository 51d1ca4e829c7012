# SPDX-License-Identifier: MIT
"""Recipes of a distribution's guests: images/recipes/, as data."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.matrix import catalogue_directory
from vmlab.catalogue.target import Suite
from vmlab.decode import read_toml, structure, unstructure
from vmlab.errors import AssetError
from vmlab.store.store import digest_of

_REVISION = 2
"""Incremented when the steps below change the result, so that older images are not used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Packages, scripts and files of a distribution's guests; every byte is an input of the image."""

    packages: tuple[str, ...]
    setup: str
    pack: str
    seal: str
    overlay: Mapping[str, str]

    @property
    def digest(self) -> str:
        return digest_of(unstructure(self) | {"revision": _REVISION})


@dataclass(frozen=True, slots=True, kw_only=True)
class _PackageList:
    packages: tuple[str, ...]


def load_recipe(distribution: str, directory: Path | None = None) -> Recipe:
    """Load the recipe in images/recipes/<distribution>."""
    folder = (directory or catalogue_directory()) / "recipes" / distribution
    if not folder.is_dir():
        raise AssetError(f"no recipe for {distribution!r}", hint=f"expected a directory {str(folder)!r}")
    listed = structure(read_toml(folder / "packages.toml"), _PackageList, where=str(folder / "packages.toml"))
    setup, pack, seal = ((folder / name).read_text() for name in ("setup", "pack", "seal"))
    return Recipe(packages=listed.packages, setup=setup, pack=pack, seal=seal, overlay=read_overlay(folder))


def read_overlay(folder: Path) -> Mapping[str, str]:
    """Return the files that a recipe's guests get, by path: those of every guest, and those in the recipe's folder."""
    files: dict[str, str] = {}
    for overlay in (folder.parent / "guest" / "overlay", folder / "overlay"):
        found = (path for path in sorted(overlay.rglob("*")) if path.is_file())
        files |= {str(path.relative_to(overlay)): path.read_text(encoding="utf-8") for path in found}
    return files


def guest_packages(suite: Suite, recipe: Recipe) -> tuple[str, ...]:
    """Return the packages of every guest of a suite, without kernel and compiler."""
    return recipe.packages + suite.packages


def write_overlay(path: Path, files: Mapping[str, str], *, executable: tuple[str, ...] = ()) -> None:
    """Write a tar with every file owned by root; the same files give the same bytes."""
    path.write_bytes(overlay_tar(files, executable=executable))


def overlay_tar(files: Mapping[str, str], *, executable: tuple[str, ...] = (), private: tuple[str, ...] = ()) -> bytes:
    """Return the content of such a tar; only root may read the `private` files."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in sorted(files.items()):
            row = tarfile.TarInfo(f"./{name}")
            row.size = len(text.encode())
            row.mode = 0o755 if name in executable else 0o600 if name in private else 0o644
            archive.addfile(row, io.BytesIO(text.encode()))
    return content.getvalue()
