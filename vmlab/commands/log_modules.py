# SPDX-License-Identifier: MIT
"""Source lines of the frames in an explained log, from the .ko files that the user names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vmlab.errors import BuildError, UsageError
from vmlab.klog.explained import ExplainedLog, with_lines
from vmlab.klog.splat import Splat
from vmlab.module.confined_symbols import ConfinedSymbols
from vmlab.module.inspect import ModuleInfo, inspect_module
from vmlab.module.symbols import with_sources

_MOST_ENTRIES = 200_000
"""Maximum of files and directories that are looked at below a directory."""
_MOST_FILES = 5
"""Maximum of files of one module's name that are read."""
_PACKED = (".ko.xz", ".ko.zst", ".ko.gz")


def resolve(log: ExplainedLog, splats: Sequence[Splat], path: Path) -> ExplainedLog:
    """Return an explanation with source lines from a .ko, or from those below a directory; notes say what is missing.

    Raises `UsageError` if there is no module. The files may be hostile: another process reads them, with limits.
    """
    named = sorted({frame.module for splat in splats for frame in splat.frames if frame.module})
    files = _files(path)
    notes: list[str] = []
    resolved = list(splats)
    for module in [module for module in named if module in files]:
        file, info = _fitting(files[module], {report.release for report in log.reports if report.module == module})
        resolved = with_sources(resolved, ConfinedSymbols(file), module)
        notes += _doubts(file, info, resolved, log)
    if named and not any(module in files for module in named):
        have, want = ", ".join(sorted(files)[:3]), ", ".join(named[:3])
        notes.append(f"no lines of source: the reports name {want}, {str(path)!r} has {have}")
    return replace(with_lines(log, resolved), notes=(*log.notes, *notes))


def _files(path: Path) -> Mapping[str, list[Path]]:
    """Files of each module by its name."""
    if not path.exists():
        raise UsageError(f"no such file: {str(path)!r}", hint="--module takes a .ko, or a directory with one")
    if path.is_dir():
        found: dict[str, list[Path]] = {}
        for file in _below(path):
            found.setdefault(_name(file), []).append(file)
        if not found:
            raise UsageError(f"no .ko below {str(path)!r}", hint="build the module first, for the kernel of the log")
        return found
    if path.name.endswith(_PACKED):
        raise UsageError(f"{str(path)!r} is compressed", hint="decompress it: --module takes a .ko")
    return {_info(path).name: [path]}


def _below(directory: Path) -> Iterable[Path]:
    count = 0
    for folder, folders, names in os.walk(directory):
        folders.sort()
        count += 1 + len(names)
        if count > _MOST_ENTRIES:
            raise UsageError(f"more than {_MOST_ENTRIES} files below {str(directory)!r}", hint="name the .ko itself")
        for name in sorted(names):
            file = Path(folder, name)
            if name.endswith(".ko") and file.is_file():
                yield file


def _name(file: Path) -> str:
    return file.name.removesuffix(".ko").replace("-", "_")


def _info(file: Path) -> ModuleInfo:
    if not file.is_file():
        raise UsageError(f"{str(file)!r} is not a regular file", hint="--module takes a .ko, or a directory with one")
    try:
        return inspect_module(file)
    except BuildError as error:
        raise UsageError(error.message, hint="--module takes a .ko, or a directory with one") from None


def _fitting(files: Sequence[Path], releases: set[str]) -> tuple[Path, ModuleInfo]:
    """Choose the file that was built for the kernel of the log, else the first."""
    known = [(file, _info(file)) for file in files[:_MOST_FILES]]
    return next((each for each in known if each[1].release in releases), known[0])


def _doubts(file: Path, info: ModuleInfo, splats: Iterable[Splat], log: ExplainedLog) -> list[str]:
    releases = {report.release for report in log.reports if report.module == info.name and report.release}
    doubts = []
    if releases - {info.release}:
        doubts.append(
            f"{file.name} was built for {info.release!r}, but the log is of {min(releases - {info.release})!r}: "
            "its lines may be wrong"
        )
    frames = [frame for splat in splats for frame in splat.frames if frame.module == info.name]
    if not any(frame.lines for frame in frames):
        doubts.append(
            f"{file.name} has no debug information for these functions: build it with CONFIG_DEBUG_INFO=y or -g"
        )
    return doubts
