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


def unpack_kernel(kernel: Path, architecture: Architecture) -> None:
    """Convert a kernel file, in place, to one that QEMU's -kernel accepts.

    On amd64 that is the unchanged bzImage. On arm64 it is the bare Image: a kernel with CONFIG_EFI_ZBOOT is a small
    EFI program around a compressed one, which firmware starts and QEMU before 8.0 does not unpack.
    """
    if architecture is Architecture.ARM64:
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
            return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data)
        if compression in ("xzkern", "lzma"):
            return lzma.LZMADecompressor().decompress(data)
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise AssetError(f"the kernel cannot be unpacked: {error}") from None
    raise AssetError(
        f"the kernel is compressed with {compression!r}, expected gzip, xzkern or lzma",
        hint="report it with the name of the target",
    )
