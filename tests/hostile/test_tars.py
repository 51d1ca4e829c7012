# SPDX-License-Identifier: MIT
"""Tars that a hostile image's guest writes: links, names and sizes that lead out of its directory."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.errors import AssetError
from vmlab.image import unpack as unpacking
from vmlab.image.in_root import read_in_root
from vmlab.image.sealed import unpack_members, unpack_tools

Edit = Callable[[tarfile.TarFile, Path], None]
_SECRET = b"secret of the host\n"


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory of this host with a private file, outside of what the archive may reach."""
    place = tmp_path / "host"
    place.mkdir()
    (place / "file").write_bytes(_SECRET)
    (place / "file").chmod(0o600)
    return place


def _add(archive: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, *, to: str = "", **facts: int) -> None:
    row = tarfile.TarInfo(name)
    row.type, row.linkname, row.mode = kind, to, facts.get("mode", 0o644)
    content = b"" if kind != tarfile.REGTYPE else f"content of {name}\n".encode()
    row.size = facts.get("size", len(content))
    archive.addfile(row, io.BytesIO(content) if kind == tarfile.REGTYPE else None)


def _members(tmp_path: Path, host: Path, edit: Edit, *, without: str = "") -> Path:
    """A tar as the lab's script writes it in a guest, without one member, and with those of an attacker."""
    path = tmp_path / "vmlab-out"
    with tarfile.open(path, "w") as archive:
        for name in ("kernel", "initrd", "config", "packages"):
            if name != without:
                _add(archive, name)
        if without != "tools":
            _add(archive, "tools/", tarfile.DIRTYPE, mode=0o755)
        edit(archive, host)
    return path


def _untouched(host: Path, out: Path) -> None:
    """Check that nothing of the host was read, changed or made accessible."""
    assert (host / "file").read_bytes() == _SECRET
    assert stat.S_IMODE((host / "file").stat().st_mode) == 0o600
    assert [path.name for path in host.iterdir()] == ["file"]
    files = [path for path in out.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not any(_SECRET in path.read_bytes() for path in files)
    assert not any(path.samefile(host / "file") for path in files)


def _below_a_link(archive: tarfile.TarFile, host: Path) -> None:
    _add(archive, "tools/lib", tarfile.SYMTYPE, to=str(host))
    _add(archive, "tools/lib/file")


def _mount_point(name: str) -> Edit:
    return lambda archive, host: _add(archive, f"tools/{name}", tarfile.SYMTYPE, to=str(host))


_REFUSED: dict[str, tuple[str, Edit]] = {
    "kernel is a link": ("kernel", lambda a, host: _add(a, "kernel", tarfile.SYMTYPE, to=f"{host}/file")),
    "initrd is a link": ("initrd", lambda a, host: _add(a, "initrd", tarfile.SYMTYPE, to=f"{host}/file")),
    "config is a link": ("config", lambda a, host: _add(a, "config", tarfile.SYMTYPE, to=f"{host}/file")),
    "packages is a link": ("packages", lambda a, host: _add(a, "packages", tarfile.SYMTYPE, to=f"{host}/file")),
    "tools is a link": ("tools", lambda a, host: _add(a, "tools", tarfile.SYMTYPE, to=str(host))),
    "kernel is a hard link": ("kernel", lambda a, host: _add(a, "kernel", tarfile.LNKTYPE, to=f"{host}/file")),
    "initrd is a FIFO": ("initrd", lambda a, _: _add(a, "initrd", tarfile.FIFOTYPE)),
    "config is a directory": ("config", lambda a, _: _add(a, "config", tarfile.DIRTYPE)),
    "hard link to a file of the host": (
        "",
        lambda a, host: _add(a, "tools/passwd", tarfile.LNKTYPE, to=f"{host}/file"),
    ),
    "hard link by ..": ("", lambda a, _: _add(a, "tools/p", tarfile.LNKTYPE, to="../host/file")),
    "hard link to the kernel": ("", lambda a, _: _add(a, "tools/k", tarfile.LNKTYPE, to="kernel")),
    "file below a link": ("", _below_a_link),
    "absolute name": ("", lambda a, host: _add(a, f"{host}/written")),
    "name with ..": ("", lambda a, _: _add(a, "tools/../../host/written")),
    "name beside the image": ("", lambda a, _: _add(a, "manifest.json")),
    "device node": ("", lambda a, _: _add(a, "tools/sda", tarfile.BLKTYPE)),
    "kernel log device": ("", lambda a, _: _add(a, "tools/kmsg", tarfile.CHRTYPE)),
    "FIFO": ("", lambda a, _: _add(a, "tools/pipe", tarfile.FIFOTYPE)),
    "second kernel": ("", lambda a, _: _add(a, "kernel")),
    "file 2000 directories deep": ("", lambda a, _: _add(a, f"tools/{'d/' * 2000}file")),
    "directory 101 levels deep": ("", lambda a, _: _add(a, f"tools/{'d/' * 100}", tarfile.DIRTYPE)),
    "name of 300 bytes": ("", lambda a, _: _add(a, f"tools/{'x' * 300}")),
    **{f"{name} is a link": ("", _mount_point(name)) for name in ("dev", "proc", "build", "tmp", "boot")},
}


@pytest.mark.parametrize("attack", _REFUSED)
def test_an_archive_that_leads_out_is_refused_in_one_line(attack: str, tmp_path: Path, host: Path) -> None:
    without, edit = _REFUSED[attack]
    out = tmp_path / "image"
    out.mkdir()

    with pytest.raises(AssetError) as caught:
        unpack_members(_members(tmp_path, host, edit, without=without), out)

    assert len(str(caught.value).splitlines()) == 1
    _untouched(host, out)


def test_links_of_a_root_are_kept_and_never_followed(tmp_path: Path, host: Path) -> None:
    def edit(archive: tarfile.TarFile, host: Path) -> None:
        _add(archive, "tools/usr", tarfile.DIRTYPE, mode=0o755)
        _add(archive, "tools/usr/cc", mode=0o755)
        _add(archive, "tools/usr/gcc", tarfile.LNKTYPE, to="tools/usr/cc")
        _add(archive, "tools/lib", tarfile.SYMTYPE, to="usr")
        _add(archive, "tools/passwd", tarfile.SYMTYPE, to=f"{host}/file")
        _add(archive, "tools/all", tarfile.SYMTYPE, to=str(host))

    out = tmp_path / "image"
    out.mkdir()
    unpack_members(_members(tmp_path, host, edit), out)

    assert (out / "tools/lib").readlink() == Path("usr")
    assert (out / "tools/passwd").readlink() == host / "file"
    assert (out / "tools/usr/gcc").samefile(out / "tools/usr/cc")
    _untouched(host, out)


def test_no_program_is_setuid_and_no_file_is_writable_by_others(tmp_path: Path) -> None:
    archive, out = tmp_path / "tools.tar", tmp_path / "tools"
    with tarfile.open(archive, "w") as made:
        _add(made, "./su", mode=0o6777)
        _add(made, "./locked", mode=0o000)
        _add(made, "./folder", tarfile.DIRTYPE, mode=0o7777)

    unpack_tools(archive, out)

    modes = {name: stat.S_IMODE((out / name).stat().st_mode) for name in ("su", "locked", "folder")}
    assert modes == {"su": 0o755, "locked": 0o644, "folder": 0o755}


def _header(name: str, size: bytes, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header whose size field has any bytes, with a correct checksum."""
    block = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    block[124:136], block[156:157], block[148:156] = size, kind, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


_MINUS_ONE_BLOCK = b"\xff" * 10 + b"\xfe\x00"
_HUGE = b"77777777777\0"
_BOMBS = {
    "negative size": _header("tools/x", _MINUS_ONE_BLOCK),
    "negative size of a long name": _header("x", _MINUS_ONE_BLOCK, tarfile.GNUTYPE_LONGNAME),
    "name of 8 GiB": _header("x", _HUGE, tarfile.GNUTYPE_LONGNAME),
    "extended header of 8 GiB": _header("x", _HUGE, tarfile.XHDTYPE),
    "file of 8 GiB that is not there": _header("tools/x", _HUGE),
    "damaged header": b"\x01" * 512,
    "sparse file": _header("tools/x", b"00000000000\0", tarfile.GNUTYPE_SPARSE),
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_header_that_lies_about_sizes_costs_neither_memory_nor_time(bomb: str, tmp_path: Path, host: Path) -> None:
    path = _members(tmp_path, host, lambda *_: None)
    with tarfile.open(path) as whole:
        whole.getmembers()
        end = whole.offset
    path.write_bytes(path.read_bytes()[:end] + _BOMBS[bomb] + bytes(1024))
    os.truncate(path, 9 * 2**30)
    out = tmp_path / "image"
    out.mkdir()

    with pytest.raises(AssetError) as caught:
        unpack_members(path, out)

    assert len(str(caught.value).splitlines()) == 1
    assert sum(file.stat().st_blocks * 512 for file in out.rglob("*")) < 2**20


@pytest.mark.parametrize(("limit", "value"), [("MOST_MEMBERS", 5), ("MOST_BYTES", 50)])
def test_more_files_or_bytes_than_an_image_has_are_refused(
    limit: str, value: int, tmp_path: Path, host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, limit, value)
    out = tmp_path / "image"
    out.mkdir()

    with pytest.raises(AssetError, match="has more than"):
        unpack_members(_members(tmp_path, host, lambda a, _: _add(a, "tools/x")), out)


@pytest.mark.parametrize("link", ["{host}/file", "../host/file", "../../../../../../../../..{host}/file", "self"])
def test_a_link_in_a_root_is_not_followed_out_of_it_when_the_lab_reads(link: str, tmp_path: Path, host: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "self").symlink_to("self")
    (root / "config").symlink_to(link.format(host=host))

    with pytest.raises(OSError):
        read_in_root(root, "config")


def test_a_fifo_in_a_root_does_not_block_the_lab(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config")

    with pytest.raises(OSError):
        read_in_root(tmp_path, "config")


def test_an_absolute_link_is_read_inside_its_root(tmp_path: Path) -> None:
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/config").write_text("CONFIG_KFENCE=y\n")
    (tmp_path / "boot").symlink_to("/usr")

    assert read_in_root(tmp_path, "boot/config") == "CONFIG_KFENCE=y\n"
