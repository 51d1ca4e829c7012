# SPDX-License-Identifier: MIT
"""An arm64 kernel is given to QEMU uncompressed, whatever its format in the package."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import AssetError
from vmlab.image.kernel_file import arm64_image, unpack_kernel

_BARE = b"MZ".ljust(56, b"\0") + b"ARM\x64" + b"code" * 100


def _zboot(packed: bytes, compression: bytes) -> bytes:
    """drivers/firmware/efi/libstub/zboot-header.S, the fields that are read."""
    offset = 4096
    header = b"MZ\0\0zimg" + offset.to_bytes(4, "little") + len(packed).to_bytes(4, "little")
    return (header.ljust(24, b"\0") + compression).ljust(offset, b"\0") + packed + b"behind it"


@pytest.mark.parametrize(
    "packed",
    [_BARE, gzip.compress(_BARE), _zboot(gzip.compress(_BARE), b"gzip"), _zboot(lzma.compress(_BARE), b"xzkern")],
    ids=["bare", "gzip", "zboot with gzip", "zboot with xz"],
)
def test_an_arm64_kernel_comes_out_bare(tmp_path: Path, packed: bytes) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(packed)
    unpack_kernel(kernel, Architecture.ARM64)
    assert kernel.read_bytes() == _BARE


def test_an_amd64_kernel_is_left_as_it_is(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"bzImage")
    unpack_kernel(kernel, Architecture.AMD64)
    assert kernel.read_bytes() == b"bzImage"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: b"bzImage" * 100, "not an arm64 Image"),
        (lambda: _zboot(b"packed", b"lz4"), "compressed with 'lz4'"),
        (lambda: _zboot(gzip.compress(_BARE)[:5] + b"damaged" * 20, b"gzip"), "cannot be unpacked|not an arm64 Image"),
        (lambda: b"", "not an arm64 Image"),
    ],
)
def test_what_is_no_kernel_is_told(data: Callable[[], bytes], words: str) -> None:
    with pytest.raises(AssetError, match=words):
        arm64_image(data())
