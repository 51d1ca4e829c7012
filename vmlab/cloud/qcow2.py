# SPDX-License-Identifier: MIT
"""Checks of a qcow2 header before QEMU opens the file.

A qcow2 may name other files, a backing file or an external data file, which QEMU opens with the rights of its user.
In a publisher's image either would expose this host's files to a guest. The layout is that of
docs/interop/qcow2.txt in QEMU's sources.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from vmlab.errors import AssetError

LARGEST_DISK = 2**40
"""One tebibyte. Publishers' disks have 2 to 40 GiB; a guest's file system grows to the size in the header."""

_MAGIC = b"QFI\xfb"
_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")
_EXTENSION = struct.Struct(">II")
_EXTENSION_END = 0
_BACKING_FORMAT = 0xE2792ACA
_DATA_FILE = 0x44415441
_LONGEST_EXTENSION = 2**16
_CORRUPT = 1 << 1
_EXTERNAL_DATA = 1 << 2
_KNOWN_FEATURES = 0b11111
"""Dirty, corrupt, external data, compression type, extended L2 entries."""
_CLUSTER_BITS = range(9, 22)
_SECTOR = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Qcow2:
    """Header of a qcow2 that refers to no other file."""

    version: int
    disk_bytes: int


def read_qcow2(path: Path, *, what: str) -> Qcow2:
    """Read the header of a qcow2 file; `what` begins each message.

    Raises `AssetError` when it is not a qcow2, names another file, is encrypted, marked corrupt, or too large.
    Reads some hundred bytes.
    """
    with path.open("rb") as stream:
        head = stream.read(_V2.size)
        if not head.startswith(_MAGIC):
            raise _refused(what, f"is not a qcow2 but {_kind(head, stream)}")
        if len(head) < _V2.size:
            raise _refused(what, "is a qcow2 with a truncated header")
        _, version, backing, _, cluster_bits, disk_bytes, encryption, *_ = _V2.unpack(head)
        if version not in (2, 3):
            raise _refused(what, f"is a qcow2 of version {version}, expected 2 or 3")
        if backing:
            raise _refused(what, "is a qcow2 that names a backing file: it could expose files of this host")
        if encryption:
            raise _refused(what, "is an encrypted qcow2")
        if cluster_bits not in _CLUSTER_BITS:
            raise _refused(what, f"is a qcow2 with clusters of 2^{cluster_bits} bytes, which QEMU refuses")
        if not 0 < disk_bytes <= LARGEST_DISK:
            limit = LARGEST_DISK // 2**40
            raise _refused(what, f"is a qcow2 with a disk of {disk_bytes} bytes, expected at most {limit} TiB")
        length = _V2.size
        if version == 3:
            length = _read_v3(stream, what)
        if length > 1 << cluster_bits:
            raise _refused(what, f"is a qcow2 with a header of {length} bytes, which QEMU refuses")
        _read_extensions(stream, length, 1 << cluster_bits, what)
    return Qcow2(version=version, disk_bytes=disk_bytes)


def _read_v3(stream: BinaryIO, what: str) -> int:
    """Check the fields of version 3; returns the header's length."""
    more = stream.read(_V3.size)
    if len(more) < _V3.size:
        raise _refused(what, "is a qcow2 with a truncated header")
    features, _, _, _, length = _V3.unpack(more)
    if features & _EXTERNAL_DATA:
        raise _names_data_file(what)
    if features & _CORRUPT:
        raise _refused(what, "is a qcow2 that is marked as corrupt")
    if features & ~_KNOWN_FEATURES:
        raise _refused(what, f"is a qcow2 with unknown features {features:#x}")
    return int(length)


def _read_extensions(stream: BinaryIO, length: int, cluster: int, what: str) -> None:
    """Check the header extensions, which end with the first cluster at the latest."""
    for kind, size in _extensions(stream, length, cluster):
        if size > _LONGEST_EXTENSION:
            raise _refused(what, "is a qcow2 with a header extension that is too long")
        if kind == _DATA_FILE:
            raise _names_data_file(what)
        if kind == _BACKING_FORMAT:
            raise _refused(what, "is a qcow2 that names the format of a backing file")


def _extensions(stream: BinaryIO, place: int, end: int) -> Iterator[tuple[int, int]]:
    while place + _EXTENSION.size <= end:
        stream.seek(place)
        head = stream.read(_EXTENSION.size)
        if len(head) < _EXTENSION.size:
            return
        kind, size = _EXTENSION.unpack(head)
        if kind == _EXTENSION_END:
            return
        yield kind, size
        place += _EXTENSION.size + (size + 7 & ~7)


def _kind(head: bytes, stream: BinaryIO) -> str:
    """Describe a file that is not a qcow2, by its first bytes."""
    if not head:
        return "empty"
    if head.lstrip()[:1] == b"<":
        return "a web page"
    for magic, kind in ((b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")):
        if head.startswith(magic):
            return f"a file compressed by {kind}"
    stream.seek(_SECTOR - 2)
    # The signature of a boot sector, which a GPT disk has as well.
    return "a raw disk" if stream.read(2) == b"\x55\xaa" else "something else"


def _names_data_file(what: str) -> AssetError:
    return _refused(what, "is a qcow2 with its data in another file: it could expose files of this host")


def _refused(what: str, why: str) -> AssetError:
    return AssetError(f"{what} {why}", hint="do not use it; report it to its publisher")
