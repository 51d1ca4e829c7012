# SPDX-License-Identifier: MIT
"""A publisher's disk must be self-contained before QEMU opens it."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from unit.cloud.offers import qcow2
from vmlab.cloud.qcow2 import LARGEST_DISK, read_qcow2
from vmlab.errors import AssetError

GIB = 2**30


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def _file(directory: Path, content: bytes) -> Path:
    path = directory / "disk"
    path.write_bytes(content)
    return path


def _refusal(directory: Path, content: bytes) -> str:
    with pytest.raises(AssetError) as caught:
        read_qcow2(_file(directory, content), what="noble.img")
    assert caught.value.message.startswith("noble.img is ")
    return caught.value.one_line


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("disk_bytes", [512, 2 * GIB, LARGEST_DISK])
def test_a_disk_that_stands_for_itself_is_taken(tmp_path: Path, version: int, disk_bytes: int) -> None:
    found = read_qcow2(_file(tmp_path, qcow2(version=version, disk_bytes=disk_bytes)), what="noble.img")
    assert (found.version, found.disk_bytes) == (version, disk_bytes)


def test_features_that_touch_no_other_file_are_taken(tmp_path: Path) -> None:
    # Not closed cleanly, zstd compression, extended L2 entries; a table of feature names, and an unknown extension.
    extensions = _extension(0x6803F857, b"\0" * 48) + _extension(0x12345678, b"abc")
    content = qcow2(features=0b11001, extensions=extensions)
    assert read_qcow2(_file(tmp_path, content), what="noble.img").disk_bytes == 2 * GIB


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (qcow2(backing_offset=0x200), "names a backing file: it could expose files of this host"),
        (qcow2(backing_offset=0x200, version=2), "names a backing file: it could expose files of this host"),
        (qcow2(features=1 << 2), "its data in another file: it could expose files of this host"),
        (qcow2(extensions=_extension(0x44415441, b"/etc/shadow")), "its data in another file"),
        (qcow2(extensions=_extension(1, b"x") + _extension(0x44415441, b"/etc/shadow")), "its data in another"),
        (qcow2(version=2, extensions=_extension(0x44415441, b"/etc/shadow")), "its data in another file"),
        (qcow2(extensions=_extension(0xE2792ACA, b"raw")), "names the format of a backing file"),
        (qcow2(extensions=struct.pack(">II", 1, 2**31)), "header extension that is too long"),
        (qcow2(disk_bytes=2**60), "a disk of 1152921504606846976 bytes, expected at most 1 TiB"),
        (qcow2(disk_bytes=LARGEST_DISK + 1), "at most 1 TiB"),
        (qcow2(disk_bytes=0), "a disk of 0 bytes"),
        (qcow2(encryption=2), "is an encrypted qcow2"),
        (qcow2(features=1 << 1), "is marked as corrupt"),
        (qcow2(features=1 << 40), "unknown features 0x10000000000"),
        (qcow2(version=4), "of version 4"),
        (qcow2(cluster_bits=31), "clusters of 2^31 bytes"),
        (qcow2()[:71], "a truncated header"),
        (qcow2()[:103], "a truncated header"),
        (qcow2(cluster_bits=9)[:100] + struct.pack(">I", 1024) + b"\0" * 2000, "header of 1024 bytes"),
        (b"", "is not a qcow2 but empty"),
        (b"\0" * 510 + b"\x55\xaa" + b"\0" * 512, "is not a qcow2 but a raw disk"),
        (b"\0" * 4096, "is not a qcow2 but something else"),
        (b"\xfd7zXZ\0" + b"\0" * 100, "is not a qcow2 but a file compressed by xz"),
        (b"\n<!DOCTYPE html>", "is not a qcow2 but a web page"),
    ],
)
def test_what_is_not_to_be_trusted_is_refused_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    assert told in _refusal(tmp_path, content)


@settings(max_examples=40)
@given(noise=some.binary(max_size=400), seed=some.integers(0, 2**32), flips=some.integers(0, 6))
def test_noise_is_refused_or_read_and_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, seed: int, flips: int
) -> None:
    head = bytearray(qcow2(size=400) if flips else b"QFI\xfb" + noise)
    dice = random.Random(seed)
    for _ in range(flips):
        head[dice.randrange(4, 120)] = dice.randrange(256)
    path = _file(tmp_path_factory.getbasetemp(), bytes(head))
    try:
        found = read_qcow2(path, what="noble.img")
    except AssetError:
        return
    assert 0 < found.disk_bytes <= LARGEST_DISK
    assert bytes(head[8:16]) == b"\0" * 8, "a disk with a backing file was taken"
