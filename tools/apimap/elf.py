# SPDX-License-Identifier: MIT
"""Sections of a kernel's and of a module's ELF file, and the symbols that they export. For trusted files."""

from __future__ import annotations

import lzma
import struct
import subprocess
import zlib
from dataclasses import dataclass

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
_ENTRY = 12
"""Size of struct kernel_symbol with relative references: value, name, namespace."""


class Unreadable(Exception):
    """The file has another form than a kernel's."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section, with its address and content."""

    address: int
    content: bytes
    link: int
    info: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A symbol that modules may use."""

    name: str
    is_gpl: bool
    namespace: str


def unpacked_kernel(data: bytes) -> bytes:
    """Return the ELF file in a bzImage; Documentation/arch/x86/boot.rst, fields payload_offset and payload_length."""
    if data[0x202:0x206] != b"HdrS":
        raise Unreadable("not a bzImage")
    start = ((data[0x1F1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", data, 0x248)
    payload = data[start + offset : start + offset + length]
    if payload[:6] == b"\xfd7zXZ\0":
        return lzma.LZMADecompressor().decompress(payload)
    if payload[:2] == b"\x1f\x8b":
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(payload)
    if payload[:4] == b"\x28\xb5\x2f\xfd":
        # The word after the frame is its unpacked size, which zstd takes for a damaged second frame.
        done = subprocess.run(["zstd", "-dcq"], input=payload[:-4], capture_output=True, check=True)
        return done.stdout
    raise Unreadable(f"the kernel is compressed in an unknown way: {payload[:6]!r}")


def sections(data: bytes) -> dict[str, Section]:
    """Return the sections of a 64-bit little-endian ELF file by name."""
    return dict(_rows(data))


def _rows(data: bytes) -> list[tuple[str, Section]]:
    if data[:6] != b"\x7fELF\x02\x01":
        raise Unreadable("not an ELF file of 64 bits")
    start, count, names_at = (*struct.unpack_from("<Q", data, 40), *struct.unpack_from("<HH", data, 60))[:3]
    heads = [_SECTION.unpack_from(data, start + number * _SECTION.size) for number in range(count)]
    names = data[heads[names_at][4] : heads[names_at][4] + heads[names_at][5]]
    rows = []
    for name, kind, _, address, offset, size, link, info, _, _ in heads:
        content = b"" if kind == 8 else data[offset : offset + size]
        rows.append((_text(names, name), Section(address, content, link, info)))
    return rows


def exports(data: bytes) -> list[Export]:
    """Return the symbols that a kernel or a module exports, in the order of the file."""
    rows = _rows(data)
    by_name = dict(rows)
    strings = by_name.get("__ksymtab_strings")
    if strings is None:
        return []
    found = []
    # Since 7.1 one table has all symbols, and __kflagstab says which are GPL-only.
    flags = by_name.get("__kflagstab")
    for table in ("__ksymtab", "__ksymtab_gpl"):
        if table not in by_name:
            continue
        part = by_name[table]
        names = _linked(rows, table) if f".rela{table}" in by_name else _relative(part)
        for number in range(len(part.content) // _ENTRY):
            name = _text(strings.content, names[number * _ENTRY + 4] - strings.address)
            space = names.get(number * _ENTRY + 8)
            namespace = "" if space is None else _text(strings.content, space - strings.address)
            is_gpl = bool(flags.content[number] & 1) if flags is not None else table == "__ksymtab_gpl"
            found.append(Export(name=name, is_gpl=is_gpl, namespace=namespace))
    return found


def _relative(part: Section) -> dict[int, int]:
    """Addresses that the words of a linked table point at."""
    words = struct.unpack_from(f"<{len(part.content) // 4}i", part.content)
    return {4 * number: part.address + 4 * number + word for number, word in enumerate(words)}


def _linked(rows: list[tuple[str, Section]], table: str) -> dict[int, int]:
    """Offsets in their sections that the words of a relocatable table point at."""
    relocations = dict(rows)[f".rela{table}"]
    symbols = rows[relocations.link][1].content
    found = {}
    for offset, info, addend in _RELOCATION.iter_unpack(relocations.content):
        value = _SYMBOL.unpack_from(symbols, (info >> 32) * _SYMBOL.size)[4]
        found[offset] = value + addend
    return found


def _text(strings: bytes, offset: int) -> str:
    return strings[offset : strings.index(b"\0", offset)].decode("ascii", errors="replace")
