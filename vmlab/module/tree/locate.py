# SPDX-License-Identifier: MIT
"""Finds the tree of the directory that a user names, and the file that describes it."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from vmlab.decode import read_regular_file, read_toml
from vmlab.errors import UsageError
from vmlab.module.source import Source, read_source, with_added
from vmlab.module.tree.describe import describe
from vmlab.module.tree.description import Description
from vmlab.module.tree.files import TreeFiles
from vmlab.settings import NOTHING_STATED, ModuleSettings
from vmlab.settings.module import module_settings

OWN_FILE = "vmlab.toml"
_CONF = ("dkms.conf", "dkms.conf.in")
_LARGEST_BYTES = 1 << 20
_HIGHEST = 4
"""Number of directories above the user's that are looked at: src/linux/drivers/x/ is the deepest place seen."""


def read_module(directory: Path, *, name: str = "", project: ModuleSettings = NOTHING_STATED) -> Source:
    """Read the sources of a module's tree, given any directory of it.

    The tree is the directory of the dkms.conf that lies above, else the directory itself; a vmlab.toml there or above,
    or the project's file, may name another. Raises `UsageError` if there is no module, or if it is not clear which
    directory has it.
    """
    if not directory.is_dir():
        raise UsageError(f"module directory {str(directory)!r} does not exist", hint="use --vmlab-module DIR")
    stated = stated_for(directory, project)
    tree = tree_of(directory, stated)
    source = read_source(tree)
    within = directory.resolve().relative_to(tree.resolve()).as_posix()
    source = with_added(source, added_files(stated))
    found = dataclasses.replace(source, within=within, stated=stated, module=name)
    require_named(found, described(found))
    return found


def described(source: Source, *, is_strict: bool = True) -> Description:
    """Describe a tree that was read, without a kernel; raises as `describe`."""
    return describe(TreeFiles(source), source.stated, within=source.within, is_strict=is_strict)


def require_named(source: Source, description: Description) -> None:
    """Raise `UsageError` if the tree does not make the module that the user named."""
    known = {module.loaded_name: module for module in description.modules}
    if source.module and not description.unclear and known and source.module.replace("-", "_") not in known:
        names = ", ".join(sorted(module.name for module in description.modules)[:20])
        raise UsageError(f"{source.name!r} makes no module {source.module!r}", hint=f"it makes {names}")


def stated_for(directory: Path, project: ModuleSettings) -> ModuleSettings:
    """Return the description that is written for a directory: in a vmlab.toml in it or above, else the project's."""
    for folder in _upwards(directory):
        path = folder / OWN_FILE
        if path.is_file() and path != project.file:
            found = module_settings(read_toml(path), path)
            return found if not found.is_empty else project
    inside = project.file is not None and directory.resolve().is_relative_to(project.file.parent.resolve())
    return project if inside else NOTHING_STATED


def added_files(stated: ModuleSettings) -> dict[str, Path]:
    """Return the files that the description adds to the tree; raises `UsageError` for one outside of its project."""
    if stated.file is None:
        return {}
    folder, found = stated.file.parent, {}
    for name, text in stated.files.items():
        path = (folder / text).resolve()
        if Path(text).is_absolute() or not path.is_relative_to(top_of(folder)) or not path.is_file():
            raise UsageError(
                f"{stated.origin('files')}.{name} must be a file in the project, given relative to {stated.file.name}, "
                f"got {text!r}",
                hint="download it, or copy it there",
            )
        found[name] = path
    return found


def needed_directories(stated: ModuleSettings) -> list[Path]:
    """Return the directories of the other modules that a description needs."""
    folder = stated.file.parent if stated.file is not None else Path()
    return [(folder / text).resolve() for text in stated.needs]


def top_of(folder: Path) -> Path:
    """Return the top of the git repository that contains a directory; without one, the directory itself."""
    above = [*_upwards(folder)]
    return next((each for each in above if (each / ".git").exists()), folder).resolve()


def tree_of(directory: Path, stated: ModuleSettings) -> Path:
    """Return the directory that is copied for a build of a module in a directory."""
    if not stated.tree or stated.file is None:
        return next((folder for folder in _upwards(directory) if _packages(folder, directory)), directory)
    tree = (stated.file.parent / stated.tree).resolve()
    where = stated.origin("tree")
    if not tree.is_dir() or not directory.resolve().is_relative_to(tree):
        raise UsageError(
            f"{where} must be a directory that contains {str(directory)!r}, got {stated.tree!r}",
            hint="give it relative to the file",
        )
    if not tree.is_relative_to(top_of(stated.file.parent)):
        raise UsageError(
            f"{where} must be in the repository or in the file's directory, got {str(tree)!r}",
            hint=f"move {stated.file.name} there",
        )
    return tree


def _packages(folder: Path, directory: Path) -> bool:
    """True if a directory has a dkms.conf that is for another one: it, or the Makefile beside it, names that one or the
    first directory on the way to it."""
    if not any((folder / name).is_file() for name in _CONF):
        return False
    inner = directory.absolute().relative_to(folder.absolute())
    if not inner.parts:
        return True
    word = re.compile(rf"(?<![\w.-]){re.escape(inner.parts[0])}(?![\w.-])")
    for name in (*_CONF, "Makefile", "Kbuild"):
        with contextlib.suppress(OSError, UsageError):
            content = read_regular_file(folder / name, largest_bytes=_LARGEST_BYTES)
            if word.search(content.decode("utf-8", errors="replace")):
                return True
    return False


def _upwards(directory: Path) -> Iterator[Path]:
    """Yield a directory and those above it, up to the top of its git repository, and never the user's home."""
    folder = directory.absolute()
    yield directory
    for each in () if (folder / ".git").exists() else [*folder.parents][:_HIGHEST]:
        if each in (Path(each.anchor), Path.home()):
            return
        yield each
        if (each / ".git").exists():
            return
