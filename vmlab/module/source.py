# SPDX-License-Identifier: MIT
"""The module's sources on the host: the list of files, and their digest."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from vmlab.errors import UsageError
from vmlab.settings import NOTHING_STATED, ModuleSettings
from vmlab.system.beneath import NotTaken, kind_of, read_beneath

# By-products of earlier builds in the user's tree are not sources: the digest must not depend on them.
_BY_PRODUCTS = (".ko", ".mod.o", ".mod", ".mod.c", ".d", ".symvers", ".order", ".pyc")
_OBJECTS = (".o", ".a")
_COMPILED = (".c", ".S", ".s", ".rs", ".cc", ".cpp")
_KBUILDS_ARCHIVES = frozenset({"built-in.a", "lib.a"})
_THIN_ARCHIVE = b"!<thin>"
_ELF = b"\x7fELF"
_SKIPPED_FOLDERS = frozenset({".git", "__pycache__", ".tmp_versions", ".venv", ".nox"})
LARGEST_MIB = 64
MOST_FILES = 20_000
"""Large modules outside of the kernel have a few thousand files; these are read in seconds."""
# make splits words at blanks and interprets `:`, `=`, `#`, `$`, `%` and wildcards. Kbuild passes paths to `-Wp,`, which
# splits at commas, and to a shell.
UNSAFE_NAME = re.compile(r"^-|[^\w.+@~^-]")
_ONLY_FILES = "only regular files, and links to files in the directory, can be sources"
_BUILD_FILES = frozenset({"Kbuild", "Makefile", "makefile", "GNUmakefile", "dkms.conf", "dkms.conf.in"})
_TAKEN = frozenset({"", ".names", ".vmlab", "source.tar"})
"""Invalid names: the empty one, and those of the lab's files beside the sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A module's source directory."""

    directory: Path
    files: tuple[str, ...]
    sums: Mapping[str, str]
    """SHA-256 by file of its executable bits and content."""
    digest: str
    within: str = "."
    """Directory that the user named, relative to this one."""
    stated: ModuleSettings = NOTHING_STATED
    """The tree, as its user describes it."""
    module: str = ""
    """Name of the module that is tested, if the user named one."""
    added: Mapping[str, Path] = field(default_factory=dict)
    """Files of the host that are copied into the tree, by their name in it."""

    @property
    def name(self) -> str:
        return Path(os.path.normpath(self.directory)).name

    @property
    def build_name(self) -> str:
        """Name of the directory's copy for the build: the directory's name, changed only if make cannot handle it."""
        name = UNSAFE_NAME.sub("_", self.name)
        return f"module_{name.strip('.')}" if name in _TAKEN else name

    @property
    def firmware(self) -> dict[str, Path]:
        """Firmware that the description names and that the tree has, by its name for the kernel: the file lies at that
        name in the tree, or below `firmware/`."""
        found = {}
        for name in self.stated.firmware:
            file = next((each for each in (name, f"firmware/{name}") if each in self.sums), None)
            if file is not None:
                found[name] = self.added.get(file, self.directory / file)
        return found

    def read(self, file: str) -> tuple[bytes, os.stat_result]:
        """Return the content and the status of a file of it. Raises `UsageError` if it is not what was hashed."""
        place = self.added.get(file)
        if place is None:
            content, status = _read(self.directory, file, largest_bytes=LARGEST_MIB * 2**20)
        else:
            content, status = _read(place.parent, place.name, largest_bytes=LARGEST_MIB * 2**20)
        if _sum(content, status.st_mode) != self.sums[file]:
            raise UsageError(f"{str(self.directory / file)!r} changed while it was used", hint="run the command again")
        return content, status

    def text(self, file: str) -> str:
        """Return the text of a file of it as it is now. Raises `UsageError` if it is not a regular file any more."""
        content, _ = _read(self.directory, file, largest_bytes=LARGEST_MIB * 2**20)
        return content.decode("utf-8", errors="replace")

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
    found = list(islice(_sources(directory), MOST_FILES + 1))
    if len(found) <= MOST_FILES and not any(path.name in _BUILD_FILES for path in found):
        raise UsageError(
            f"{str(directory)!r} has neither a Kbuild file nor a Makefile",
            hint="create a Kbuild file with `obj-m := NAME.o`",
        )
    return _gather(directory, found)


def _sources(directory: Path) -> Iterator[Path]:
    try:
        found = sorted(directory.rglob("*"))
    except (OSError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "its directories are nested too deeply"
        raise UsageError(
            f"the module directory {str(directory)!r} cannot be listed: {why}",
            hint="use --vmlab-module DIR with the module's directory",
        ) from None
    return (path for path in found if _is_source(path, directory))


def read_files(directory: Path, files: Sequence[str]) -> Source:
    """Read the given files of a directory, named relative to it; raises as `read_source`."""
    return _gather(directory, [directory / file for file in files])


def with_added(source: Source, added: Mapping[str, Path]) -> Source:
    """Return the sources with files of the host added or replaced; raises `UsageError` for one that is not a regular
    file."""
    sums, digest = dict(source.sums), hashlib.sha256(source.digest.encode())
    for name, path in sorted(added.items()):
        content, status = _read(path.parent, path.name, largest_bytes=LARGEST_MIB * 2**20)
        sums[name] = _sum(content, status.st_mode)
        digest.update(f"{name}\0{sums[name]}\0".encode())
    files = tuple(sorted({*source.files, *added}))
    return replace(source, files=files, sums=sums, digest=digest.hexdigest(), added=dict(added)) if added else source


def none_named(default: Path) -> UsageError:
    """Error for a run that needs a module, when none is configured and the default directory does not exist."""
    return UsageError(
        f"no module is configured, and the default directory {str(default)!r} does not exist",
        hint='set its directory: --vmlab-module DIR, or module = "DIR" under [tool.vmlab] in pyproject.toml',
    )


def read_programs(directory: Path) -> Source:
    """Read the C files directly in a directory, for programs that do not belong to a module."""
    found = sorted(path for path in directory.iterdir() if path.suffix in (".c", ".h"))
    return _gather(directory, [path for path in found if _is_taken(path, directory)])


def _gather(directory: Path, files: Sequence[Path]) -> Source:
    if len(files) > MOST_FILES:
        raise UsageError(
            f"a module's sources must be at most {MOST_FILES} files, got more in {str(directory)!r}",
            hint="use --vmlab-module DIR with the module's directory",
        )
    size = sum(path.stat().st_size for path in files)
    names = [_name(path, directory) for path in files]
    digest, rest = hashlib.sha256(), LARGEST_MIB * 2**20
    sums: dict[str, str] = {}
    for name in names if size <= rest else ():
        content, status = _read(directory, name, largest_bytes=LARGEST_MIB * 2**20)
        digest.update(f"{name}\0{status.st_mode & 0o111}\0{len(content)}\0".encode())
        digest.update(content)
        sums[name] = _sum(content, status.st_mode)
        rest -= len(content)
    if size > LARGEST_MIB * 2**20 or rest < 0:
        raise UsageError(
            f"a module's sources must be at most {LARGEST_MIB} MiB, got {size // 2**20} MiB in {str(directory)!r}",
            hint="use --vmlab-module DIR with the module's directory",
        )
    return Source(directory=directory, files=tuple(names), sums=sums, digest=digest.hexdigest())


def _name(path: Path, directory: Path) -> str:
    name = str(path.relative_to(directory))
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"the name of a source must be UTF-8, got {os.fsencode(name)!r}", hint="rename it") from None
    return name


def _sum(content: bytes, mode: int) -> str:
    return hashlib.sha256(b"%o\0" % (mode & 0o111) + content).hexdigest()


def _read(directory: Path, name: str, *, largest_bytes: int) -> tuple[bytes, os.stat_result]:
    """Return the content and status of a source. A link in the tree may name another file of the tree, and no other."""
    path = directory / name
    try:
        inner = str(path.resolve().relative_to(directory.resolve())) if path.is_symlink() else name
        return read_beneath(directory.resolve(), inner, largest_bytes=largest_bytes)
    except NotTaken as error:
        raise UsageError(f"the source {str(path)!r} {error}", hint=_ONLY_FILES) from None
    except ValueError:
        raise _leads_out(path) from None
    except (OSError, RuntimeError) as error:
        raise UsageError(f"the source {str(path)!r} cannot be read: {error}") from None


def _is_taken(path: Path, directory: Path) -> bool:
    """True for a regular file, and for a link to one in the tree; False for a directory or a link to nothing. Raises
    `UsageError` for any other: nothing of the host may become a source."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    if path.is_symlink() and not path.resolve().is_relative_to(directory.resolve()):
        raise _leads_out(path)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UsageError(f"the source {str(path)!r} is {kind_of(mode)}", hint=_ONLY_FILES)
    return stat.S_ISREG(mode)


def _leads_out(path: Path) -> UsageError:
    return UsageError(
        f"the source {str(path)!r} is a link that leads out of the module's directory",
        hint="replace it with a copy, or with a link to a file in the directory",
    )


def _is_source(path: Path, directory: Path) -> bool:
    inside = path.relative_to(directory).parts
    if any(part in _SKIPPED_FOLDERS for part in inside) or path.name.endswith(_BY_PRODUCTS):
        return False
    if not _is_taken(path, directory):
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
