# SPDX-License-Identifier: MIT
"""Trees made of texts, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vmlab.module.source import Source, read_files
from vmlab.module.tree.files import TreeFiles


def write_tree(directory: Path, files: Mapping[str, str]) -> Path:
    """Write files, named relative to a directory, and return the directory."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory


def tree_of(directory: Path, files: Mapping[str, str]) -> TreeFiles:
    """Write files and return them as a tree that is built in /build/NAME."""
    return TreeFiles(source_of(directory, files))


def source_of(directory: Path, files: Mapping[str, str]) -> Source:
    """Write files and return them as sources."""
    return read_files(write_tree(directory, files), sorted(files))
