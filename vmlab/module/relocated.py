# SPDX-License-Identifier: MIT
"""A .ko's debug information, with separate section addresses and applied relocations."""

from __future__ import annotations

import io
import struct

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import Section, SymbolTableSection

_APART = 1 << 40
"""Distance between the sections' addresses: in a .ko each section starts at 0, so its addresses are ambiguous."""
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")
# ELF64 ABI: R_X86_64_64, _32 and _32S; R_AARCH64_ABS64 and _ABS32. Others are not relevant in debug sections.
_ABSOLUTE = {
    "EM_X86_64": {1: "<Q", 10: "<I", 11: "<I"},
    "EM_AARCH64": {257: "<Q", 258: "<I"},
}


class Relocated:
    """A module's ELF file with usable debug information, and the addresses of its functions."""

    def __init__(self, data: bytes) -> None:
        """Parse a .ko; may raise any exception of pyelftools if the file is damaged or not a module."""
        moved = bytearray(data)
        elf = ELFFile(io.BytesIO(data))
        self.functions: dict[str, list[int]] = {}
        sections = list(elf.iter_sections())
        code = {number for number, section in enumerate(sections) if section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR}
        table = elf.get_section_by_name(".symtab")
        values = self._move(moved, table, code) if isinstance(table, SymbolTableSection) else []
        debug = [section for section in sections if section.name.startswith((".debug_", ".rela.debug_"))]
        forms = _ABSOLUTE.get(elf["e_machine"])
        is_plain = forms is not None and elf.little_endian and not any(map(_is_compressed, debug))
        if is_plain and forms is not None:
            for section in debug:
                if isinstance(section, RelocationSection) and section.is_RELA():
                    _apply(moved, section, sections[section["sh_info"]], values, forms)
        # pyelftools also relocates compressed sections, but takes seconds.
        self.elf = ELFFile(io.BytesIO(bytes(moved)))
        self.dwarf = self.elf.get_dwarf_info(relocate_dwarf_sections=not is_plain)

    def _move(self, moved: bytearray, table: SymbolTableSection, code: set[int]) -> list[int]:
        """Give the code sections separate addresses; returns each symbol's new address."""
        values = []
        place = table["sh_offset"]
        for symbol in table.iter_symbols():
            section = symbol["st_shndx"]
            value = symbol["st_value"]
            if section in code:
                value += section * _APART
                if symbol["st_info"]["type"] == "STT_FUNC":
                    self.functions.setdefault(symbol.name, []).append(value)
                struct.pack_into("<Q", moved, place + 8, value)
            values.append(value)
            place += _SYMBOL.size
        return values


def _apply(
    moved: bytearray, relocations: RelocationSection, target: Section, values: list[int], forms: dict[int, str]
) -> None:
    base, size = target["sh_offset"], target["sh_size"]
    start = relocations["sh_offset"]
    packers = {number: struct.Struct(form) for number, form in forms.items()}
    table = bytes(moved[start : start + relocations["sh_size"] // _RELOCATION.size * _RELOCATION.size])
    for offset, info, addend in _RELOCATION.iter_unpack(table):
        packer = packers.get(info & 0xFFFFFFFF)
        if packer is not None and offset + packer.size <= size:
            limit = (1 << packer.size * 8) - 1
            packer.pack_into(moved, base + offset, (values[info >> 32] + addend) & limit)


def _is_compressed(section: Section) -> bool:
    return bool(section["sh_flags"] & SH_FLAGS.SHF_COMPRESSED)
