# SPDX-License-Identifier: MIT
"""The modules that Kbuild files name, read without running make. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vmlab.module.tree.description import Module
from vmlab.module.tree.expansion import UNKNOWN, Scope
from vmlab.module.tree.files import TreeFiles
from vmlab.module.tree.makefile import Makefile, MakefileReader, Word, with_values

_OBJECTS = re.compile(r"(?:obj|subdir)-(?:m|y|\$\((?P<option>CONFIG_\w+)\))")
_PARTS = re.compile(
    r"(?!(?:cc|as|ld|rust)flags-|(?:always|extra|hostprogs|userprogs|lib|clean|obj|subdir|subdir-ccflags)-)\S+-(?:objs|y|m)"
)
_ABOVE = re.compile(r"(?:\$[({](?:src|obj|M|PWD|CURDIR|KBUILD_EXTMOD)[)}]/|[=\s]|-I\s*)((?:\.\./?)+(?:/\.\.)*)")
_SOURCES = (".c", ".S", ".rs")
_MOST_DIRECTORIES = 200
SOME_RELEASE = f"{UNKNOWN}release"
"""Value of KERNELRELEASE while the kernel is unknown: it is set, which is all that most Kbuild files ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFacts:
    """The kernel that a description is for."""

    release: str
    machine: str
    """Its architecture as uname -m has it."""
    config: Mapping[str, str]
    """Its options: `CONFIG_X` to `y`, `m` or a value."""


@dataclass(slots=True, kw_only=True)
class KbuildReading:
    """The modules of one or more directories."""

    modules: list[Module] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    """`FILE:LINE: text` of lines that name files above the tree."""


def read_kbuild(
    tree: TreeFiles, directory: str, *, make: Mapping[str, str], kernel: KernelFacts | None = None
) -> KbuildReading:
    """Read the modules that Kbuild makes in a directory of the tree and in those below it that its files name.

    `make` are the variables of the command line. Without a kernel, an option that no file sets is a module's condition.
    """
    reading, waiting, seen = KbuildReading(), [(directory, "")], set[str]()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        current, condition = waiting.pop(0)
        if current in seen:
            continue
        seen.add(current)
        made = read_lists(tree, current, make=make, kernel=kernel)
        reading.uncertain += made.uncertain
        reading.outside += _outside(tree, current)
        found, below = _objects(tree, current, made, condition)
        reading.modules += found
        waiting += below
    return reading


def read_lists(tree: TreeFiles, directory: str, *, make: Mapping[str, str], kernel: KernelFacts | None) -> Makefile:
    """Read the Kbuild file of one directory as Kbuild does: with KERNELRELEASE, src and obj set."""
    here = posixpath.normpath(f"{tree.root}/{directory}")
    release = kernel.release if kernel else SOME_RELEASE
    known = {"KERNELRELEASE": release, "KBUILD_MODULES": "1", "MAKE": "make", "KBUILD_EXTMOD": here}
    known |= dict.fromkeys(("M", "src", "obj"), here)
    known |= dict.fromkeys(("srctree", "objtree", "CC", "ARCH", "SRCARCH", "MAKECMDGOALS", "CFLAGS"), UNKNOWN)
    known |= dict(zip(("VERSION", "PATCHLEVEL"), _numbers(release) if kernel else (UNKNOWN, UNKNOWN), strict=True))

    def unset(name: str) -> str:
        if name.startswith("CONFIG_"):
            return UNKNOWN if kernel is None else kernel.config.get(name, "")
        return ""

    scope = with_values(Scope(here, tree.paths, unset), {**known, **make})
    reader = MakefileReader(scope, read=tree.text, is_list=_is_asked, place=tree.place)
    path = tree.kbuild_file(directory)
    return reader.file(path) if path else reader.made


def _outside(tree: TreeFiles, directory: str) -> list[str]:
    """Return the lines of a Kbuild file that name files above the tree."""
    depth = 0 if directory == "." else directory.count("/") + 1
    path = tree.kbuild_file(directory)
    lines = enumerate((tree.text(path) or "").splitlines(), start=1) if path else ()
    return [
        f"{tree.place(path)}:{number}: {line.strip()[:200]}"
        for number, line in lines
        if (found := _ABOVE.search(line[:1000])) is not None and found[1].count("..") > depth
    ]


def _is_asked(name: str) -> bool:
    return _OBJECTS.fullmatch(name) is not None or _PARTS.fullmatch(name) is not None


def _numbers(release: str) -> tuple[str, str]:
    found = re.match(r"(\d+)\.(\d+)", release)
    return (found[1], found[2]) if found else (UNKNOWN, UNKNOWN)


def _objects(
    tree: TreeFiles, directory: str, made: Makefile, condition: str
) -> tuple[list[Module], list[tuple[str, str]]]:
    modules, below = [], []
    for name, words in made.lists.items():
        match = _OBJECTS.fullmatch(name)
        if match is None:
            continue
        option = match["option"] or condition
        is_module = not name.endswith("-y") and name.startswith("obj-")
        for word in words:
            place = posixpath.normpath(posixpath.join(directory, word.text))
            if place == ".." or place.startswith(("../", "/")):
                continue
            if word.text.endswith("/") or name.startswith("subdir-"):
                below.append((place, option))
            elif is_module and word.text.endswith(".o"):
                modules.append(_module(tree, directory, made, word, option))
    return modules, below


def _module(tree: TreeFiles, directory: str, made: Makefile, word: Word, condition: str) -> Module:
    name = posixpath.normpath(posixpath.join(directory, word.text)).removesuffix(".o")
    stem = word.text.removesuffix(".o")
    return Module(
        name=posixpath.basename(name),
        location=posixpath.dirname(name) or ".",
        origin=word.origin,
        condition=condition,
        sources=tuple(_sources(tree, directory, made, stem)),
    )


def _sources(tree: TreeFiles, directory: str, made: Makefile, stem: str) -> Iterable[str]:
    """Yield the source files of a module: those of its parts, else the one of its own name."""
    parts = [word.text for kind in ("objs", "y", "m") for word in made.lists.get(f"{stem}-{kind}", [])]
    for part in dict.fromkeys(parts or [f"{stem}.o"]):
        names = (posixpath.normpath(posixpath.join(directory, part.removesuffix(".o") + end)) for end in _SOURCES)
        yield from [name for name in names if name in tree.source.sums][:1]
