# SPDX-License-Identifier: MIT
"""Conversion of a distribution's kernel file, which may be compressed, to one that QEMU can start."""

from __future__ import annotations

import lzma
import zlib
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.errors import AssetError

_ARM64_IMAGE = b"ARM\x64"
_ARM64_MAGIC_AT = 56
"""Documentation/arch/arm64/booting.rst."""
_ZBOOT = b"zimg"
_ZBOOT_AT = 4
"""drivers/firmware/efi/libstub/zboot-header.S: `MZ`, then this magic, the payload's offset and size, and at 24 the name
of the compression."""
MOST_BYTES = 256 << 20
"""Maximum size of a kernel, packed or not: Debian's arm64 Image has 40 MB, one with KASAN some 150. A file of
1 MB can unpack to 1 GB."""
_MOST_MEMORY = 256 << 20
"""Maximum memory of xz for its dictionary: scripts/xz_wrap.sh uses at most 128 MiB."""


def unpack_kernel(kernel: Path, architecture: Architecture) -> None:
    """Convert a kernel file, in place, to one that QEMU's -kernel accepts.

    On amd64 that is the unchanged bzImage. On arm64 it is the bare Image: a kernel with CONFIG_EFI_ZBOOT is a small
    EFI program around a compressed one, which firmware starts and QEMU before 8.0 does not unpack.
    """
    if architecture is Architecture.ARM64:
        if (size := kernel.stat().st_size) > MOST_BYTES:
            raise _too_large(f"has {size} bytes")
        kernel.write_bytes(arm64_image(kernel.read_bytes()))


def arm64_image(data: bytes) -> bytes:
    """Return the bare Image in an arm64 vmlinuz; raises `AssetError` when there is none."""
    if data[_ZBOOT_AT : _ZBOOT_AT + len(_ZBOOT)] == _ZBOOT:
        offset, size = (int.from_bytes(data[at : at + 4], "little") for at in (8, 12))
        compression = data[24:32].split(b"\0")[0].decode("ascii", errors="replace")
        data = _unpacked(data[offset : offset + size], compression)
    elif data[:2] == b"\x1f\x8b":
        data = _unpacked(data, "gzip")
    if data[_ARM64_MAGIC_AT : _ARM64_MAGIC_AT + 4] != _ARM64_IMAGE:
        raise AssetError("the kernel is not an arm64 Image", hint="report it with the name of the target")
    return data


def _unpacked(data: bytes, compression: str) -> bytes:
    try:
        if compression == "gzip":
            # Padding follows the compressed kernel.
            unpacked = zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, MOST_BYTES + 1)
        elif compression in ("xzkern", "lzma"):
            unpacked = lzma.LZMADecompressor(memlimit=_MOST_MEMORY).decompress(data, MOST_BYTES + 1)
        else:
            raise AssetError(
                f"the kernel is compressed with {compression!r}, expected gzip, xzkern or lzma",
                hint="report it with the name of the target",
            )
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise AssetError(f"the kernel cannot be unpacked: {error}") from None
    if len(unpacked) > MOST_BYTES:
        raise _too_large("unpacks to more")
    return unpacked


def _too_large(what: str) -> AssetError:
    return AssetError(
        f"the kernel {what}, and must have at most {MOST_BYTES} bytes", hint="report it with the name of the target"
    )
