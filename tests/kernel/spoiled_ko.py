# SPDX-License-Identifier: MIT
"""Copies of a .ko with one thing changed: what it says of the kernel it is for, or of a symbol's version. Pure."""

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
    """Where in the file it lies."""


def versions_of(ko: bytes) -> tuple[Version, ...]:
    """The versions that a .ko wants its symbols in; none of a kernel without CONFIG_MODVERSIONS."""
    return tuple(_versions(ko))


def with_other_crc(ko: bytes, symbol: str) -> bytes:
    """The same with another CRC for a symbol; `KeyError` when it uses no such symbol."""
    entry = {version.symbol: version for version in _versions(ko)}[symbol]
    return _put(ko, entry.place, _CRC.pack(entry.crc ^ 1))


def vermagic_of(ko: bytes) -> str:
    """The kernel it says it is for, as it stands in `.modinfo`."""
    start, end = _vermagic(ko)
    return ko[start:end].decode()


def with_vermagic(ko: bytes, vermagic: str) -> bytes:
    """The same for another kernel; `ValueError` when that is longer than what is there."""
    start, end = _vermagic(ko)
    if len(vermagic) > end - start:
        raise ValueError(f"{vermagic!r} is longer than {ko[start:end]!r}")
    # Zeros between two entries of .modinfo mean nothing (next_string(), kernel/module).
    return _put(ko, start, vermagic.encode().ljust(end - start, b"\0"))


def with_one_bit_changed(ko: bytes) -> bytes:
    """The same with the first letter of its license in the other case."""
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
