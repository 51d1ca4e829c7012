# SPDX-License-Identifier: MIT
"""Contents of a built module's file, read with pyelftools. Pure except for reading the file."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

_KERNEL_PARAM_BYTES = 40
"""sizeof(struct kernel_param) on 64-bit machines: five words (include/linux/moduleparam.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the file."""

    name: str
    offset: int
    size: int
    flags: str
    """Section flags: `A` allocated, `X` executable, `W` writable."""
    has_bytes: bool
    """True if the file holds the section's bytes; False for `.bss`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """An entry of the symbol table."""

    name: str
    section: str
    """Section name; empty for an undefined symbol, `ABS` for a number that is not an address."""
    value: int
    size: int
    binding: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Relocation:
    """A place that the kernel patches with an address."""

    section: str
    offset: int
    symbol: str
    addend: int


class Object:
    """One ELF file, as a compiler or ld -r writes it."""

    def __init__(self, path: Path) -> None:
        self._elf = ELFFile(io.BytesIO(path.read_bytes()))

    @cached_property
    def sections(self) -> Mapping[str, Section]:
        found = {}
        for each in self._elf.iter_sections():
            flags = "".join(letter for bit, letter in ((1, "W"), (2, "A"), (4, "X")) if each["sh_flags"] & bit)
            found[each.name] = Section(
                name=each.name,
                offset=each["sh_offset"],
                size=each["sh_size"],
                flags=flags,
                has_bytes=each["sh_type"] != "SHT_NOBITS",
            )
        return found

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """Symbols in table order, without section symbols."""
        names = [section.name for section in self._elf.iter_sections()]
        return tuple(
            Symbol(
                name=each.name,
                section=_section_of(each["st_shndx"], names),
                value=each["st_value"],
                size=each["st_size"],
                binding=each["st_info"]["bind"].removeprefix("STB_"),
            )
            for each in self._table.iter_symbols()
            if each.name and each["st_info"]["type"] not in ("STT_SECTION", "STT_FILE")
        )

    @property
    def _table(self) -> SymbolTableSection:
        table = self._elf.get_section_by_name(".symtab")
        if not isinstance(table, SymbolTableSection):
            raise ValueError("the file has no symbol table")
        return table

    def symbol(self, name: str) -> Symbol | None:
        return next((symbol for symbol in self.symbols if symbol.name == name), None)

    @property
    def undefined(self) -> tuple[str, ...]:
        """Undefined symbol names, in the order in which the kernel resolves them."""
        return tuple(symbol.name for symbol in self.symbols if not symbol.section)

    def functions_in(self, section: str) -> tuple[str, ...]:
        return tuple(symbol.name for symbol in self.symbols if symbol.section == section and symbol.size)

    @cached_property
    def relocations(self) -> tuple[Relocation, ...]:
        """Relocations of allocated sections: the kernel reads no others."""
        names = [section.name for section in self._elf.iter_sections()]
        found = []
        for each in self._elf.iter_sections():
            target = each.name.removeprefix(".rela")
            if not isinstance(each, RelocationSection) or "A" not in self.sections[target].flags:
                continue
            for entry in each.iter_relocations():
                symbol = self._table.get_symbol(entry["r_info_sym"])
                name = symbol.name or names[symbol["st_shndx"]]
                found.append(
                    Relocation(section=target, offset=entry["r_offset"], symbol=name, addend=entry["r_addend"])
                )
        return tuple(found)

    def relocations_of(self, section: str) -> tuple[Relocation, ...]:
        return tuple(each for each in self.relocations if each.section == section)

    def data(self, section: str) -> bytes:
        found = self._elf.get_section_by_name(section)
        return bytes(found.data()) if found is not None else b""

    @cached_property
    def modinfo(self) -> tuple[tuple[str, str], ...]:
        """Keys and values in `.modinfo`, in order; keys may repeat."""
        texts = (text.decode() for text in self.data(".modinfo").split(b"\0") if text)
        return tuple((key, value) for key, _, value in (text.partition("=") for text in texts))

    @cached_property
    def versions(self) -> Mapping[str, int]:
        """CRC of each symbol that the module uses, from `__versions`; empty without CONFIG_MODVERSIONS."""
        data, entry = self.data("__versions"), 64
        pieces = (data[at : at + entry] for at in range(0, len(data), entry))
        return {piece[8:].split(b"\0")[0].decode(): struct.unpack("<Q", piece[:8])[0] for piece in pieces}

    @property
    def parameters(self) -> int:
        """Number of entries in `__param`."""
        return self.sections["__param"].size // _KERNEL_PARAM_BYTES if "__param" in self.sections else 0


def _section_of(index: int | str, names: Sequence[str]) -> str:
    if isinstance(index, int):
        return names[index]
    return "" if index == "SHN_UNDEF" else index.removeprefix("SHN_")
