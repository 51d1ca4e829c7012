# SPDX-License-Identifier: MIT
"""The module's sources on the host: the list of files, and their digest."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import UsageError

# By-products of earlier builds in the user's tree are not sources: the digest must not depend on them.
_BY_PRODUCTS = (".ko", ".mod.o", ".mod", ".mod.c", ".d", ".symvers", ".order", ".pyc")
_OBJECTS = (".o", ".a")
_COMPILED = (".c", ".S", ".s", ".rs", ".cc", ".cpp")
_KBUILDS_ARCHIVES = frozenset({"built-in.a", "lib.a"})
_THIN_ARCHIVE = b"!<thin>"
_ELF = b"\x7fELF"
_SKIPPED_FOLDERS = frozenset({".git", "__pycache__", ".tmp_versions", ".venv", ".nox"})
LARGEST_MIB = 64
# make splits words at blanks and interprets `:`, `=`, `#`, `$`, `%` and wildcards. Kbuild passes paths to `-Wp,`, which
# splits at commas, and to a shell.
_UNSAFE = re.compile(r"^-|[^\w.+@~^-]")
_TAKEN = frozenset({"", ".names", "source.tar"})
"""Invalid names: the empty one, and those of the lab's files beside the sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A module's source directory."""

    directory: Path
    files: tuple[str, ...]
    digest: str

    @property
    def name(self) -> str:
        return Path(os.path.normpath(self.directory)).name

    @property
    def build_name(self) -> str:
        """Name of the directory's copy for the build: the directory's name, changed only if make cannot handle it."""
        name = _UNSAFE.sub("_", self.name)
        return f"module_{name.strip('.')}" if name in _TAKEN else name

    def place(self, source: str) -> str:
        """Complete a position, `src/read.c:42` for `read.c:42`, if only one file's path matches: debug information may
        lack the directories that all compiled files share."""
        file, _, line = source.rpartition(":")
        named = [path for path in self.files if f"/{path}".endswith(f"/{file}")]
        return f"{named[0]}:{line}" if len(named) == 1 and file not in self.files else source


def read_source(directory: Path) -> Source:
    """Read the sources in a directory; raises `UsageError` when it has neither a Kbuild file nor a Makefile."""
    if not directory.is_dir():
        raise UsageError(f"module directory {str(directory)!r} does not exist", hint="use --vmlab-module DIR")
    if not any((directory / name).is_file() for name in ("Kbuild", "Makefile")):
        raise UsageError(
            f"{str(directory)!r} has neither a Kbuild file nor a Makefile",
            hint="create a Kbuild file with `obj-m := NAME.o`",
        )
    return _gather(directory, [path for path in sorted(directory.rglob("*")) if _is_source(path, directory)])


def none_named(default: Path) -> UsageError:
    """Error for a run that needs a module, when none is configured and the default directory does not exist."""
    return UsageError(
        f"no module is configured, and the default directory {str(default)!r} does not exist",
        hint='set its directory: --vmlab-module DIR, or module = "DIR" under [tool.vmlab] in pyproject.toml',
    )


def read_programs(directory: Path) -> Source:
    """Read the C files directly in a directory, for programs that do not belong to a module."""
    return _gather(directory, sorted(path for path in directory.iterdir() if path.suffix in (".c", ".h")))


def _gather(directory: Path, files: Sequence[Path]) -> Source:
    size = sum(path.stat().st_size for path in files)
    if size > LARGEST_MIB * 2**20:
        raise UsageError(
            f"a module's sources must be at most {LARGEST_MIB} MiB, got {size // 2**20} MiB in {str(directory)!r}",
            hint="use --vmlab-module DIR with the module's directory",
        )
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        # A name may have bytes that are not UTF-8.
        name = os.fsencode(path.relative_to(directory))
        digest.update(name + f"\0{path.stat().st_mode & 0o111}\0{len(content)}\0".encode())
        digest.update(content)
    return Source(
        directory=directory,
        files=tuple(str(path.relative_to(directory)) for path in files),
        digest=digest.hexdigest(),
    )


def _is_source(path: Path, directory: Path) -> bool:
    inside = path.relative_to(directory).parts
    if not path.is_file() or any(part in _SKIPPED_FOLDERS for part in inside) or path.name.endswith(_BY_PRODUCTS):
        return False
    if path.name.endswith(_OBJECTS):
        return not _is_made(path)
    if path.suffix == ".cmd":
        return _is_stand_in(path)
    # Programs that Kbuild made for the build (hostprogs).
    return not (_has_command(path) and _begins_with(path, _ELF))


def _is_made(path: Path) -> bool:
    """True for an object or archive that a build made; without traces of a build it is prebuilt, and a source.

    Kbuild writes the command that made `x.o` to `.x.o.cmd`, unless it copied `x.o_shipped` (scripts/Makefile.lib);
    other builds leave an object beside its source.
    """
    if path.name in _KBUILDS_ARCHIVES or path.name.startswith(".tmp_") or _has_command(path):
        return True
    traces = [path.with_name(f"{path.name}_shipped"), path.with_name(f"{path.name}.d")]
    if path.suffix == ".o":
        traces += [path.with_suffix(suffix) for suffix in (*_COMPILED, ".mod", ".d")]
    return any(trace.is_file() for trace in traces) or _begins_with(path, _THIN_ARCHIVE)


def _has_command(path: Path) -> bool:
    command = path.with_name(f".{path.name}.cmd")
    return command.is_file() and command.stat().st_size > 0


def _is_stand_in(path: Path) -> bool:
    """True for an empty `.x.o.cmd` of a prebuilt `x.o`: Kbuild never writes an empty one, but modpost reads the file
    when it computes srcversion (scripts/mod/sumversion.c)."""
    prebuilt = path.with_name(path.name.removeprefix(".").removesuffix(".cmd"))
    is_empty = path.name.startswith(".") and path.stat().st_size == 0
    return is_empty and prebuilt.name.endswith(_OBJECTS) and prebuilt.is_file() and not _is_made(prebuilt)


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
