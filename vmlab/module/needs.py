# SPDX-License-Identifier: MIT
"""Symbols that trees export to each other: the Module.symvers files of a build (Documentation/kbuild/modules.rst)."""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import BuildError, hides_frames
from vmlab.image.image import BUILD_DIRECTORY
from vmlab.module.build_root import Place
from vmlab.module.built import BuiltTree
from vmlab.module.source import Source, read_files
from vmlab.module.tree.description import Fact

__tracebackhide__ = hides_frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A tree that another one is linked against, with its build."""

    source: Source
    tree: BuiltTree


def put_needs(place: Place, source: Source, needs: Sequence[Need]) -> list[str]:
    """Copy the trees that a tree is linked against beside it, and return the paths of their Module.symvers."""
    paths = []
    for number, need in enumerate(needs):
        if need.source.build_name != source.build_name:
            place.put_tree(need.source, need.source.build_name)
        if need.tree.symvers is not None:
            name = f".vmlab/needs-{number}"
            place.put_tree(read_files(need.tree.symvers.parent, [need.tree.symvers.name]), name)
            paths.append(f"{BUILD_DIRECTORY}/{name}/{need.tree.symvers.name}")
    return paths


def take_symvers(place: Place, source: Source, directories: Sequence[Fact[str]], local: Path) -> bool:
    """Copy the symbols that the tree exports; False if it exports none."""
    prefix = f"{BUILD_DIRECTORY}/"
    names = [path.removeprefix(prefix) for path in symvers_of(source, directories)]
    taken = local.with_name("symvers.part")
    for name in names:
        with contextlib.suppress(BuildError):
            place.get(name, taken)
            with local.open("ab") as whole:
                whole.write(taken.read_bytes())
            taken.unlink()
    return local.is_file()


def symvers_of(source: Source, directories: Sequence[Fact[str]]) -> list[str]:
    """Return the paths that Kbuild gives to the Module.symvers of a tree's directories. Pure."""
    names = (posixpath.normpath(f"{source.build_name}/{each.value}/Module.symvers") for each in directories)
    return [f"{BUILD_DIRECTORY}/{name}" for name in names]
