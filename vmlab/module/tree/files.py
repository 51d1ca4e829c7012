# SPDX-License-Identifier: MIT
"""The files of a module's tree by the paths that they have in a build."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from functools import cached_property

from vmlab.errors import UsageError
from vmlab.image.image import BUILD_DIRECTORY
from vmlab.module.source import Source

_LARGEST_BYTES = 1 << 20
"""Largest file that is read for a description: the largest Makefiles have 100 KiB, generated ones included."""
MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
"""Names that make tries, in its order."""


@dataclass(frozen=True)
class TreeFiles:
    """Text files of a tree, read from the host."""

    source: Source

    @cached_property
    def root(self) -> str:
        """Path of the tree in a build."""
        return f"{BUILD_DIRECTORY}/{self.source.build_name}"

    @cached_property
    def paths(self) -> frozenset[str]:
        """Absolute paths of the files in a build."""
        return frozenset(f"{self.root}/{name}" for name in self.source.files)

    def inner(self, path: str) -> str:
        """Return a path relative to the tree, `.` for the tree itself; empty for a path outside of it."""
        clean = posixpath.normpath(path)
        if clean == self.root:
            return "."
        return clean[len(self.root) + 1 :] if clean.startswith(f"{self.root}/") else ""

    def text(self, path: str) -> str | None:
        """Return the text of a file, given its path in a build; None if there is none, or it is too large."""
        name = self.inner(path)
        if f"{self.root}/{name}" not in self.paths:
            return None
        try:
            text = self.source.text(name)
        except UsageError:
            return None  # removed since
        return text if len(text) <= _LARGEST_BYTES else None

    def first(self, directory: str, *names: str) -> str:
        """Return the path of the first of these files that a directory of the tree has; empty if it has none."""
        paths = (posixpath.normpath(f"{self.root}/{directory}/{name}") for name in names)
        return next((path for path in paths if path in self.paths), "")

    def kbuild_file(self, directory: str) -> str:
        """Return the path of the file that Kbuild reads in a directory (scripts/Makefile.build); empty without one."""
        return self.first(directory, "Kbuild", "Makefile")

    def place(self, path: str) -> str:
        """Return the name of a file for messages."""
        return self.inner(path) or path
