# SPDX-License-Identifier: MIT
"""Recipes that provision a publisher's cloud image: images/recipes/cloud/, as data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmlab.catalogue.cloud_image import PackageManager
from vmlab.catalogue.matrix import catalogue_directory
from vmlab.decode import read_toml, structure, unstructure
from vmlab.errors import AssetError, UsageError
from vmlab.image.recipe import read_overlay
from vmlab.store.store import digest_of

_REVISION = 1
"""Incremented when the steps in `provision.py` change the result, so that older images are not used."""


class Meaning(StrEnum):
    """Cause of a package manager's failure."""

    FULL = "full"
    MISSING = "missing"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """A regular expression for a package manager's output in one kind of failure."""

    means: Meaning
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    packages: tuple[str, ...]
    wanted: tuple[str, ...]
    compiler: str
    complaint: tuple[Complaint, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudRecipe:
    """Packages, scripts and files of a cloud image's guest; every byte is an input of the image."""

    packages: tuple[str, ...]
    wanted: tuple[str, ...]
    """Packages that are installed if the archives have them; `{release}` stands for the kernel's."""
    compiler: str
    """Package of a compiler, with its `{family}` and `{major}` version."""
    complaints: tuple[Complaint, ...]
    script: str
    """Shell script with the verbs that run in the guest, as root."""
    overlay: Mapping[str, str]

    @property
    def digest(self) -> str:
        return digest_of(unstructure(self) | {"revision": _REVISION})

    def meaning_of(self, output: str) -> tuple[Meaning, str] | None:
        """Return the cause of a failure, and the line that names it; None when no complaint matches."""
        for complaint in self.complaints:
            for line in output.splitlines():
                if re.search(complaint.pattern, line):
                    return complaint.means, line.strip().removeprefix("E: ").removeprefix("Error: ")
        return None


def load_cloud_recipe(manager: PackageManager, directory: Path | None = None) -> CloudRecipe:
    """Load the recipe of a package manager; raises `UsageError` naming the file and key that are wrong."""
    folder = (directory or catalogue_directory()) / "recipes" / "cloud"
    path = folder / f"{manager}.toml"
    lists = structure(read_toml(path), _Lists, where=str(path))
    for complaint in lists.complaint:
        try:
            re.compile(complaint.pattern)
        except re.error as error:
            raise UsageError(f"{path}: complaint.pattern: invalid pattern {complaint.pattern!r}: {error}") from None
    return CloudRecipe(
        packages=lists.packages,
        wanted=lists.wanted,
        compiler=lists.compiler,
        complaints=lists.complaint,
        script="".join((folder / name).read_text(encoding="utf-8") for name in (f"{manager}.sh", "guest.sh")),
        overlay=read_overlay(folder),
    )


def wanted_release(line: str, releases: Sequence[str], *, newest: str, package: str) -> str:
    """Return the newest of a package's kernels in a line, or in any line if it is `newest`. Pure.

    Raises `AssetError` naming the kernels that exist.
    """
    fit = [release for release in releases if line == newest or re.match(rf"{re.escape(line)}[.\-+]", release)]
    if not fit:
        there = ", ".join(releases) or "no kernel at all"
        raise AssetError(
            f"{package} contains no kernel of line {line}: it contains {there}",
            hint="the distribution moved to another line: correct `line` or `kernel` in the target's row",
        )
    return max(fit, key=_release_key)


def _release_key(release: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key with numbers by value and above letters: 6.8.0-100 is newer than 6.8.0-99."""
    return tuple((1, int(word)) if word.isdigit() else (0, word) for word in re.findall(r"\d+|[a-z]+", release))
