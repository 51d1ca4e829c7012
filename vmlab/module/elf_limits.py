# SPDX-License-Identifier: MIT
"""Check of an ELF file's tables before pyelftools reads it.

pyelftools trusts every size in the file: a section of type NOBITS makes it allocate what the header says, section
headers of size 0 are read 2^64 times, and a name is searched to the next NUL for each symbol that points at it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MOST_SECTIONS = 40_000
"""Maximum number of sections: a module has some hundred, with a section for each function some thousand."""
MOST_SYMBOLS = 1_000_000
LONGEST_NAME = 8192
"""Maximum length of a name: the kernel's own is 512 (KSYM_NAME_LEN), Rust and C++ have longer ones in debug files."""
MOST_UNPACKED_BYTES = 512 << 20
"""Maximum size of all compressed sections together, unpacked."""
_NOBITS, _SYMTAB, _STRTAB, _DYNSYM = 8, 2, 3, 11
_COMPRESSED = 0x800
_EXTENDED = 0xFFFF
_HEADERS = {1: ("IIIIIHHHHHH", "IIIIIIIIII", 16), 2: ("IQQQIHHHHHH", "IIQQQQIIQQ", 24)}
"""By class (1 is 32 bits): formats of the ELF header from e_version on, and of a section header; size of a symbol."""


class UnusableElf(Exception):
    """The file's tables are damaged or too large; the text says how."""


@dataclass(frozen=True, slots=True)
class _Section:
    name: int
    kind: int
    flags: int
    offset: int
    size: int


def require_sane(data: bytes) -> None:
    """Raise `UnusableElf` unless the tables of an ELF file are inside the file and of usual size. Reads each byte at
    most a few times."""
    try:
        sections, names, symbol_size = _sections(data)
        unpacked = sum(_unpacked_size(data, section) for section in sections if section.flags & _COMPRESSED)
    except struct.error:
        raise UnusableElf("its headers are truncated") from None
    strings = [section for section in sections if section.kind == _STRTAB]
    for section in sections:
        if section.kind == _NOBITS and section.flags & _COMPRESSED:
            raise UnusableElf("a section without content is compressed")
        if section.kind != _NOBITS and section.offset + section.size > len(data):
            raise UnusableElf(f"a section ends at {section.offset + section.size}, the file at {len(data)}")
        if section.kind in (_SYMTAB, _DYNSYM) and section.size > MOST_SYMBOLS * symbol_size:
            raise UnusableElf(f"it has more than {MOST_SYMBOLS} symbols")
    if unpacked > MOST_UNPACKED_BYTES:
        raise UnusableElf(f"its compressed sections unpack to {unpacked} bytes")
    for table in {(section.offset, section.size) for section in (*strings, *names)}:
        _require_short_names(data[table[0] : sum(table)])


def _sections(data: bytes) -> tuple[list[_Section], list[_Section], int]:
    """Sections, the one with their names, and the size of a symbol."""
    if data[:4] != b"\x7fELF" or len(data) < 20 or data[4] not in _HEADERS or data[5] not in (1, 2):
        raise UnusableElf("it has no ELF header")
    order = "<" if data[5] == 1 else ">"
    header, row, symbol_size = _HEADERS[data[4]]
    fields = struct.unpack_from(order + header, data, 20)
    start, entry_size, count, names = fields[3], fields[8], fields[9], fields[10]
    if not start:
        return [], [], symbol_size
    shape = struct.Struct(order + row)
    if entry_size != shape.size:
        raise UnusableElf(f"its section headers have {entry_size} bytes each, expected {shape.size}")
    first = shape.unpack_from(data, start)
    # With many sections, both numbers are in the first header (System V ABI, "Sections").
    count = count or first[5]
    names = first[6] if names == _EXTENDED else names
    if count > MOST_SECTIONS:
        raise UnusableElf(f"it has {count} sections")
    rows = [shape.unpack_from(data, start + number * shape.size) for number in range(count)]
    sections = [_Section(name, kind, flags, offset, size) for name, kind, flags, _, offset, size, *_ in rows]
    if names >= count or any(section.name > sections[names].size for section in sections):
        raise UnusableElf("its section names are outside of their table")
    return sections, [sections[names]], symbol_size


def _unpacked_size(data: bytes, section: _Section) -> int:
    order = "<" if data[5] == 1 else ">"
    return int(struct.unpack_from(order + ("II" if data[4] == 1 else "IIQ"), data, section.offset)[-1])


def _require_short_names(table: bytes) -> None:
    if len(max(table.split(b"\0"), key=len)) > LONGEST_NAME:
        raise UnusableElf(f"it has a name of more than {LONGEST_NAME} bytes")
