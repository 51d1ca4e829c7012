# SPDX-License-Identifier: MIT
"""A hand-made module object file with gcc's debug information: DWARF 4 (gcc 10) or 5 (gcc 11 to 14). It has
relocations, and two sections that both start at 0."""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SECTIONS = (".text", ".init.text")
_ABS64 = {"x86": 1, "arm64": 257}
_MACHINES = {"x86": 62, "arm64": 183}
_ADDR, _DATA1, _DATA4, _STRING, _UDATA, _REF4, _OFFSET, _EXPRLOC = 0x01, 0x0B, 0x06, 0x08, 0x0F, 0x13, 0x17, 0x18
_NAME, _LINES, _LOW, _HIGH, _DIRECTORY, _ORIGIN, _LOCATION = 0x03, 0x10, 0x11, 0x12, 0x1B, 0x31, 0x02
_RANGES, _CALL_FILE, _CALL_LINE = 0x55, 0x58, 0x59
# Code: tag, has-children flag, attributes.
_ABBREVIATIONS = {
    1: (0x11, 1, ((_NAME, _STRING), (_DIRECTORY, _STRING), (_LOW, _ADDR), (_HIGH, _DATA4), (_LINES, _OFFSET))),
    2: (0x2E, 0, ((_NAME, _STRING),)),  # the origin of inlined calls
    3: (0x2E, 1, ((_NAME, _STRING), (_LOW, _ADDR), (_HIGH, _DATA4))),
    4: (0x1D, 1, ((_ORIGIN, _REF4), (_LOW, _ADDR), (_HIGH, _DATA4), (_CALL_FILE, _DATA1), (_CALL_LINE, _UDATA))),
    5: (0x1D, 1, ((_ORIGIN, _REF4), (_RANGES, _OFFSET), (_CALL_FILE, _DATA1), (_CALL_LINE, _UDATA))),
    6: (0x34, 0, ((_NAME, _STRING), (_LOCATION, _EXPRLOC))),  # a variable, to skip
    7: (0x0B, 1, ()),  # a lexical block, to descend into
}


@dataclass(frozen=True, kw_only=True)
class Inlined:
    """An inlined call in one or several pieces, each from its first address to the one past its last."""

    function: str
    pieces: tuple[tuple[int, int], ...]
    file: int
    line: int
    inside: tuple[Inlined, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Function:
    name: str
    start: int
    end: int
    inside: tuple[Inlined, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Unit:
    """A compiled source file. `files` are numbered from 1; a row is an address, a file's number, a line."""

    source: str
    directory: str
    files: tuple[str, ...]
    rows: tuple[tuple[int, int, int], ...]
    functions: tuple[Function, ...]
    end: int = 0x100
    section: str = SECTIONS[0]


@dataclass
class _Part:
    """A section under construction, and its relocations against code sections."""

    data: bytearray = field(default_factory=bytearray)
    relocations: list[tuple[int, int, int]] = field(default_factory=list)

    def address(self, section: str, offset: int) -> None:
        self.relocations.append((len(self.data), 1 + SECTIONS.index(section), offset))
        self.data += bytes(8)


def object_file(*units: Unit, version: int = 5, machine: str = "x86", modinfo: bytes = b"") -> bytes:
    """The bytes of the file, with a section .modinfo if that has content."""
    info, lines, ranges = _Part(), _Part(), _Part()
    if version >= 5:
        ranges.data += struct.pack("<IHBBI", 0, 5, 8, 0, 0)
    for unit in units:
        _write_unit(info, unit, version, len(lines.data), ranges)
        _write_lines(lines, unit, version)
    ranges_name = ".debug_rnglists" if version >= 5 else ".debug_ranges"
    parts = {".debug_info": info, ".debug_line": lines, ranges_name: ranges}
    return _elf(units, parts, _abbreviations(), machine, modinfo)


def _write_unit(info: _Part, unit: Unit, version: int, lines: int, ranges: _Part) -> None:
    start = len(info.data)
    info.data += bytes(4) + (struct.pack("<HBBI", 5, 1, 8, 0) if version >= 5 else struct.pack("<HIB", 4, 0, 8))
    info.data += b"\x01" + _text(unit.source) + _text(unit.directory)
    info.address(unit.section, 0)
    info.data += struct.pack("<II", unit.end, lines)
    names = list(dict.fromkeys(call.function for function in unit.functions for call in _calls(function.inside)))
    origins = {}
    for name in names:
        origins[name] = len(info.data) - start
        info.data += b"\x02" + _text(name)
    for function in unit.functions:
        info.data += b"\x03" + _text(function.name)
        info.address(unit.section, function.start)
        info.data += struct.pack("<I", function.end - function.start)
        info.data += b"\x06" + _text("here") + _leb(2) + b"\x91\x00"
        _write_calls(info, unit.section, function.inside, origins, ranges, version)
        info.data += b"\0"
    info.data += b"\0"
    struct.pack_into("<I", info.data, start, len(info.data) - start - 4)


def _write_calls(
    info: _Part, section: str, calls: Sequence[Inlined], origins: dict[str, int], ranges: _Part, version: int
) -> None:
    info.data += b"\x07"
    for call in calls:
        info.data += (b"\x04" if len(call.pieces) == 1 else b"\x05") + struct.pack("<I", origins[call.function])
        if len(call.pieces) == 1:
            ((first, last),) = call.pieces
            info.address(section, first)
            info.data += struct.pack("<I", last - first)
        else:
            info.data += struct.pack("<I", len(ranges.data))
            _write_ranges(ranges, call.pieces, version)
        info.data += bytes([call.file]) + _leb(call.line)
        _write_calls(info, section, call.inside, origins, ranges, version)
        info.data += b"\0"
    info.data += b"\0"


def _write_ranges(ranges: _Part, pieces: Iterable[tuple[int, int]], version: int) -> None:
    """Write offsets from the unit's first address."""
    for first, last in pieces:
        ranges.data += b"\x04" + _leb(first) + _leb(last) if version >= 5 else struct.pack("<QQ", first, last)
    ranges.data += b"\0" if version >= 5 else bytes(16)


def _write_lines(part: _Part, unit: Unit, version: int) -> None:
    folders = list(dict.fromkeys(posixpath.dirname(path) for path in unit.files))
    entries = [(posixpath.basename(path), 1 + folders.index(posixpath.dirname(path))) for path in unit.files]
    tables = struct.pack("<BBBbBB", 1, 1, 1, -5, 14, 10) + bytes([0, 1, 1, 1, 1, 0, 0, 0, 1])
    if version >= 5:
        tables += bytes([1, 1, 0x08]) + _leb(len(folders) + 1)
        tables += b"".join(map(_text, [unit.directory, *folders]))
        tables += bytes([2, 1, 0x08, 2, 0x0B]) + _leb(len(entries) + 1)
        tables += b"".join(_text(name) + bytes([folder]) for name, folder in [entries[0], *entries])
    else:
        tables += b"".join(map(_text, folders)) + b"\0"
        tables += b"".join(_text(name) + bytes([folder, 0, 0]) for name, folder in entries) + b"\0"
    start = len(part.data)
    part.data += bytes(4) + struct.pack("<H", version) + (b"\x08\0" if version >= 5 else b"")
    part.data += struct.pack("<I", len(tables)) + tables
    part.data += b"\0\x09\x02"
    part.address(unit.section, 0)
    address, line = 0, 1
    for where, file, number in unit.rows:
        part.data += b"\x02" + _leb(where - address) + b"\x04" + _leb(file) + b"\x03" + _signed(number - line) + b"\x01"
        address, line = where, number
    part.data += b"\x02" + _leb(unit.end - address) + b"\0\x01\x01"
    struct.pack_into("<I", part.data, start, len(part.data) - start - 4)


def _abbreviations() -> bytes:
    written = b""
    for code, (tag, has_children, attributes) in _ABBREVIATIONS.items():
        written += _leb(code) + _leb(tag) + bytes([has_children])
        written += b"".join(_leb(name) + _leb(form) for name, form in attributes) + b"\0\0"
    return written + b"\0"


def _elf(units: Sequence[Unit], parts: dict[str, _Part], abbreviations: bytes, machine: str, modinfo: bytes) -> bytes:
    names, symbols = b"\0", bytes(24)
    for number, _ in enumerate(SECTIONS, start=1):
        symbols += struct.pack("<IBBHQQ", 0, 3, 0, number, 0, 0)
    for unit in units:
        for function in unit.functions:
            size = function.end - function.start
            where = 1 + SECTIONS.index(unit.section)
            symbols += struct.pack("<IBBHQQ", len(names), 2, 0, where, function.start, size)
            names += _text(function.name)
    # Name: type, flags, content, link, info, entry size.
    sections: dict[str, tuple[int, int, bytes, int, int, int]] = {"": (0, 0, b"", 0, 0, 0)}
    sections |= {name: (1, 6, bytes(0x200), 0, 0, 0) for name in SECTIONS}
    sections[".symtab"] = (2, 0, symbols, len(SECTIONS) + 2, 1 + len(SECTIONS), 24)
    sections[".strtab"] = (3, 0, names, 0, 0, 0)
    sections[".debug_abbrev"] = (1, 0, abbreviations, 0, 0, 0)
    for name, part in parts.items():
        target = len(sections)
        sections[name] = (1, 0, bytes(part.data), 0, 0, 0)
        rows = [struct.pack("<QQq", at, symbol << 32 | _ABS64[machine], add) for at, symbol, add in part.relocations]
        sections[f".rela{name}"] = (4, 0, b"".join(rows), len(SECTIONS) + 1, target, 24)
    sections |= {".modinfo": (1, 0, modinfo, 0, 0, 0)} if modinfo else {}
    sections[".shstrtab"] = (3, 0, b"".join(_text(name) for name in [*sections, ".shstrtab"]), 0, 0, 0)
    body, headers, position = b"", b"", 0
    for name, (kind, flags, content, link, about, entry) in sections.items():
        header = (position, kind, flags, 0, 64 + len(body), len(content), link, about, 1, entry)
        headers += struct.pack("<IIQQQQIIQQ", *header)
        body += content
        position += len(name) + 1
    head = b"\x7fELF\2\1\1" + bytes(9)
    head += struct.pack("<HHIQQQ", 1, _MACHINES[machine], 1, 0, 0, 64 + len(body))
    head += struct.pack("<IHHHHHH", 0, 64, 0, 0, 64, len(sections), len(sections) - 1)
    return head + body + headers


def _calls(calls: Iterable[Inlined]) -> Iterable[Inlined]:
    for call in calls:
        yield call
        yield from _calls(call.inside)


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def _leb(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _signed(number: int) -> bytes:
    """The number in as many bytes as any line number here needs."""
    return bytes([number & 0x7F | 0x80, number >> 7 & 0x7F | 0x80, number >> 14 & 0x7F])
