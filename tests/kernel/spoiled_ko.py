# SPDX-License-Identifier: MIT
"""Copies of a .ko with one change: its vermagic, a symbol's version, or its license. Pure."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

_ENTRY = 64
"""struct modversion_info, include/linux/module.h: a long and the name, 64 bytes together where longs have 8."""
_CRC = struct.Struct("<Q")


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An entry of `__versions`."""

    symbol: str
    crc: int
    place: int
    """Offset in the file."""


def versions_of(ko: bytes) -> tuple[Version, ...]:
    """Symbol versions that a .ko requires; empty without CONFIG_MODVERSIONS."""
    return tuple(_versions(ko))


def with_other_crc(ko: bytes, symbol: str) -> bytes:
    """The .ko with another CRC for a symbol; `KeyError` when it does not use that symbol."""
    entry = {version.symbol: version for version in _versions(ko)}[symbol]
    return _put(ko, entry.place, _CRC.pack(entry.crc ^ 1))


def vermagic_of(ko: bytes) -> str:
    """The vermagic in `.modinfo`: the kernel that the module is built for."""
    start, end = _vermagic(ko)
    return ko[start:end].decode()


def with_vermagic(ko: bytes, vermagic: str) -> bytes:
    """The .ko with another vermagic; `ValueError` when that is longer than the present one."""
    start, end = _vermagic(ko)
    if len(vermagic) > end - start:
        raise ValueError(f"{vermagic!r} is longer than {ko[start:end]!r}")
    # The kernel skips zeros between two entries of .modinfo (next_string(), kernel/module).
    return _put(ko, start, vermagic.encode().ljust(end - start, b"\0"))


def with_one_bit_changed(ko: bytes) -> bytes:
    """The .ko with the case of its license's first letter changed."""
    place = ko.index(b"license=") + len(b"license=")
    return _put(ko, place, bytes([ko[place] ^ 0x20]))


def _put(ko: bytes, place: int, new: bytes) -> bytes:
    return ko[:place] + new + ko[place + len(new) :]


def _vermagic(ko: bytes) -> tuple[int, int]:
    start = ko.index(b"vermagic=") + len(b"vermagic=")
    return start, ko.index(b"\0", start)


def _versions(ko: bytes) -> Iterator[Version]:
    section = ELFFile(io.BytesIO(ko)).get_section_by_name("__versions")
    if section is None:
        return
    first = int(section["sh_offset"])
    for place in range(first, first + int(section["sh_size"]), _ENTRY):
        name = ko[place + _CRC.size : place + _ENTRY].split(b"\0", 1)[0].decode()
        yield Version(symbol=name, crc=_CRC.unpack_from(ko, place)[0], place=place)
