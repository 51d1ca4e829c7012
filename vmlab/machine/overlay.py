# SPDX-License-Identifier: MIT
"""Disk overlays, made with qemu-img."""

from __future__ import annotations

import errno
import json
import os
import struct
from pathlib import Path

from vmlab.errors import AssetError
from vmlab.system.files import disk_error
from vmlab.system.process import run

_HEADER = struct.Struct(">4sIQI")
"""Magic, version, and the place and length of the backing file's name (docs/interop/qcow2.txt in QEMU's sources)."""
_FEATURES = struct.Struct(">72xQ")
_EXTERNAL_DATA = 1 << 2
_LONGEST_NAME = 1023


def make_overlay(base: Path, overlay: Path, *, least_bytes: int = 0) -> None:
    """Make an overlay on a base disk, as large as the base and at least `least_bytes`.

    Raises `HostError` when the disk is full, `AssetError` when qemu-img cannot use the base.
    """
    size = [str(max(_size_bytes(base), least_bytes))] if least_bytes else []
    words = ["-f", "qcow2", "-F", "qcow2", "-b", str(base), str(overlay), *size]
    _convert(["create", "-q", *words], base, overlay, timeout_s=60)


def require_backing(overlay: Path, base: Path) -> None:
    """Raise `AssetError` unless an overlay that QEMU has written names the base, and no other file.

    qemu-img opens the files that the header names with the rights of the lab, which the guest's QEMU has not.
    """
    with overlay.open("rb") as stream:
        head = stream.read(_FEATURES.size).ljust(_FEATURES.size, b"\0")
        magic, version, place, length = _HEADER.unpack_from(head)
        features = _FEATURES.unpack(head)[0] if version >= 3 else 0
        stream.seek(place)
        name = stream.read(min(length, _LONGEST_NAME))
    if magic != b"QFI\xfb" or features & _EXTERNAL_DATA or name != os.fsencode(base):
        raise AssetError(
            f"the header of {str(overlay)!r} was changed: it does not name {str(base)!r} as its only other file",
            hint="the guest may have taken over its QEMU; do not use its disk",
        )


def flatten(overlay: Path, disk: Path, *, base: Path) -> None:
    """Copy an overlay and its base into one independent disk. Raises as `make_overlay` and `require_backing`."""
    require_backing(overlay, base)
    _convert(["convert", "-O", "qcow2", str(overlay), str(disk)], overlay, disk, timeout_s=1800)


def _size_bytes(disk: Path) -> int:
    told = run(["qemu-img", "info", "--output=json", str(disk)], timeout_s=60)
    try:
        return int(json.loads(told.output)["virtual-size"])
    except (ValueError, KeyError):
        raise AssetError(f"qemu-img cannot read {str(disk)!r}", hint="vmlab images verify", detail=told.tail) from None


def _convert(words: list[str], read: Path, written: Path, *, timeout_s: float) -> None:
    done = run(["qemu-img", *words], timeout_s=timeout_s)
    if done.ok:
        return
    if "No space left" in done.output:
        raise disk_error(OSError(errno.ENOSPC, ""), written.parent)
    message = f"qemu-img {words[0]} failed on {str(read)!r}"
    raise AssetError(message, hint="vmlab images verify", detail=done.tail)
