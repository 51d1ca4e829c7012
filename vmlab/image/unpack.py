# SPDX-License-Identifier: MIT
"""Unpacks the tars that images are made from: regular files and directories, and links in a tool root.

One parser reads each header and writes each file, so no second program can read the archive differently. A member is
written only below directories that this archive made, so no link in it is ever followed.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from vmlab.errors import AssetError
from vmlab.system.files import disk_error

MOST_MEMBERS = 500_000
"""Maximum number of members; a Debian tool root has 23,000, and a cloud image's root file system below 200,000."""
MOST_BYTES = 8 * 2**30
"""Maximum size of all members; a tool root has 0.5 GiB."""
_MOST_HEADER_BYTES = 2**20
"""Maximum size of one member's headers, which tarfile reads into memory: a name of PATH_MAX bytes needs 5 KiB."""
_MOST_LEVELS = 100
"""Maximum depth of a member. A path of PATH_MAX bytes may have 2000, and programs that walk it recurse."""
_LONGEST_TIME_S = 2**33
_HINT = "do not use this image; report it with the name of the target"


class _Headers(io.FileIO):
    """An archive whose reader gets a limited number of bytes per member; file contents are copied by the kernel."""

    budget = _MOST_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self.budget:
            raise tarfile.ReadError("a header is larger than any file name needs")
        self.budget -= size
        return super().read(size)


def unpack(archive: Path, directory: Path, *, files: Mapping[str, int], tree: str) -> None:
    """Unpack an uncompressed tar of some regular `files` and one `tree` into an existing directory.

    `files` gives the largest size of each, in bytes. An empty `tree` is the directory itself. The tree may have
    symbolic links, which are kept as they are, and hard links to its own files. Modes are reduced to 0755, and this
    user can read everything; times are kept, since make compares them. Raises `AssetError` for a damaged archive, any
    other type or name of member, and for more than `MOST_BYTES` or `MOST_MEMBERS`; `HostError` when the disk fails.
    Takes 6 s for a tool root of 21,000 files on two cores, where GNU tar takes 3 s.
    """
    try:
        with _Headers(archive) as source, tarfile.open(fileobj=source, mode="r:", errorlevel=1) as members:
            unpacking = _Unpacking(source, directory, files=files, tree=tree)
            for member in _limited(members, source):
                unpacking.add(member)
            # tarfile takes any block that is not a header for the end of the archive.
            if os.pread(source.fileno(), tarfile.BLOCKSIZE, members.offset) != bytes(tarfile.BLOCKSIZE):
                raise tarfile.ReadError("it is truncated, or has a damaged header")
            unpacking.finish()
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise AssetError(f"cannot unpack {archive.name}: {error}", hint=_HINT) from None
    except OSError as error:
        raise disk_error(error, directory) from error


def _limited(members: tarfile.TarFile, source: _Headers) -> Iterator[tarfile.TarInfo]:
    total = 0
    for number, member in enumerate(members, start=1):
        source.budget = _MOST_HEADER_BYTES
        # A negative size would make tarfile read the same headers for ever.
        if member.size < 0:
            raise _refused(member, "has a negative size")
        total += member.size
        if number > MOST_MEMBERS or total > MOST_BYTES:
            limits = f"{MOST_MEMBERS} files or {MOST_BYTES // 2**30} GiB"
            raise AssetError(f"the archive of an image has more than {limits}", hint=_HINT)
        yield member


class _Unpacking:
    """Writes an archive's members, and records what it has made, by path in the destination."""

    def __init__(self, source: _Headers, directory: Path, *, files: Mapping[str, int], tree: str) -> None:
        self._source = source
        self._directory = directory
        self._files = files
        self._tree = tree
        self._made_files: set[str] = set()
        self._made_folders: dict[str, float] = {"": 0}

    def add(self, member: tarfile.TarInfo) -> None:
        """Write one member; raises `AssetError` if its name or type is refused."""
        name = _plain(member.name, member)
        is_own = name in self._files
        # A tar of `./` begins with that directory, which GNU tar names so whatever --transform says.
        if name and not is_own and self._tree and name.partition("/")[0] != self._tree:
            raise _refused(member, "is not a part of an image")
        if name == "" or name in self._made_folders:
            if not member.isdir():
                raise _refused(member, "is duplicated")
            self._made_folders[name] = member.mtime
            return
        self._make_parent(name, member)
        place = self._directory / name
        if member.isreg() and not member.issparse():
            if is_own and member.size > self._files[name]:
                raise _refused(member, f"has {member.size} bytes, expected at most {self._files[name]}")
            self._write(member, place)
            self._made_files.add(name)
        elif member.isdir() and not is_own:
            self._make_folder(name, member.mtime, member)
        elif member.issym() and not is_own and name != self._tree:
            with _new(member):
                place.symlink_to(member.linkname)
            os.utime(place, (_time(member.mtime),) * 2, follow_symlinks=False)
        elif member.islnk() and not is_own and name != self._tree:
            target = _plain(member.linkname, member)
            if target not in self._made_files or target in self._files:
                raise _refused(member, f"is a hard link to {member.linkname!r}, which is not a file of the same tree")
            with _new(member):
                os.link(self._directory / target, place, follow_symlinks=False)
            self._made_files.add(name)
        else:
            raise _refused(member, f"is {_kind(member)}, expected a regular file or a directory")

    def finish(self) -> None:
        """Set the times of the directories, which their files have changed."""
        for name, mtime in self._made_folders.items():
            if name:
                os.utime(self._directory / name, (_time(mtime),) * 2)

    def _make_parent(self, name: str, member: tarfile.TarInfo) -> None:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder not in self._made_folders:
                self._make_folder(folder, member.mtime, member)

    def _make_folder(self, name: str, mtime: float, member: tarfile.TarInfo) -> None:
        with _new(member):
            (self._directory / name).mkdir()
        # The process's umask may be wider or narrower than the image's users need.
        (self._directory / name).chmod(0o755)
        self._made_folders[name] = mtime

    def _write(self, member: tarfile.TarInfo, place: Path) -> None:
        mode = 0o755 if member.mode & 0o111 else 0o644
        with _new(member):
            made = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
        try:
            offset, left = member.offset_data, member.size
            while left:
                copied = os.sendfile(made, self._source.fileno(), offset, left)
                if copied == 0:
                    raise tarfile.ReadError(f"it is truncated in {member.name!r}")
                offset, left = offset + copied, left - copied
            os.fchmod(made, mode)
            os.utime(made, (_time(member.mtime),) * 2)
        finally:
            os.close(made)


@contextlib.contextmanager
def _new(member: tarfile.TarInfo) -> Iterator[None]:
    """Convert the errors of a member whose place is taken or whose name is too long."""
    try:
        yield
    except FileExistsError:
        raise _refused(member, "is duplicated, or is below a link or a file") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _refused(member, "has too long a name") from None
        raise


def _plain(name: str, member: tarfile.TarInfo) -> str:
    """Return a member's name without `./`; raises `AssetError` for an absolute name and for `..`."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise _refused(member, "leads out of the archive")
    if len(parts) > _MOST_LEVELS:
        raise _refused(member, f"is more than {_MOST_LEVELS} directories deep")
    return "/".join(parts)


def _time(seconds: float) -> float:
    with contextlib.suppress(OverflowError, ValueError):
        return float(min(max(int(seconds), 0), _LONGEST_TIME_S))
    return 0.0


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return f"a link to {member.linkname!r}"
    if member.isdir():
        return "a directory"
    if member.issparse():
        return "a sparse file"
    return "a device or a FIFO" if member.isdev() else f"of type {member.type!r}"


def _refused(member: tarfile.TarInfo, why: str) -> AssetError:
    return AssetError(f"the archive of an image is refused: {member.name!r} {why}", hint=_HINT)
