# SPDX-License-Identifier: MIT
"""From `fib_read+0x1b` to `fibdrv_read.c:42`, by a module's own debug information."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from vmlab.guest.splat import Splat
from vmlab.guest.trace import Frame

_ST_VALUE = 8
"""Where st_value lies in an Elf64_Sym."""
_APART = 1 << 40
"""How far apart the sections are laid: in a .ko each begins at 0, and the line table would mix them up."""


@dataclass(frozen=True, slots=True)
class _Row:
    start: int
    end: int
    source: str


class Symbols:
    """A built module's functions and lines. Reading them costs some 0.1 s, once."""

    def __init__(self, ko: Path) -> None:
        """Raises nothing: a module without debug information, or a damaged one, resolves nothing."""
        self._functions: dict[str, list[int]] = {}
        self._rows: list[_Row] = []
        try:
            self._read(ko.read_bytes())
        except (OSError, ELFError, KeyError, IndexError, ValueError, AttributeError, TypeError, struct.error):
            # pyelftools trusts what it reads.
            self._functions, self._rows = {}, []

    def source_of(self, function: str, offset: int) -> str:
        """`fibdrv_read.c:42`; empty when it is not known, or when several functions go by that name."""
        starts = self._functions.get(function, [])
        if len(starts) != 1:
            return ""
        address = starts[0] + offset
        return next((row.source for row in self._rows if row.start <= address < row.end), "")

    def _read(self, data: bytes) -> None:
        elf = ELFFile(io.BytesIO(data))
        symbols = elf.get_section_by_name(".symtab")
        if not isinstance(symbols, SymbolTableSection):
            return
        code = [index for index, section in enumerate(elf.iter_sections()) if _is_code(section)]
        moved = bytearray(data)
        for number, symbol in enumerate(symbols.iter_symbols()):
            index = symbol["st_shndx"]
            if index not in code:
                continue
            if symbol["st_info"]["type"] == "STT_SECTION":
                # What the line table's relocations refer to.
                place = symbols["sh_offset"] + number * symbols["sh_entsize"] + _ST_VALUE
                struct.pack_into("<Q", moved, place, index * _APART)
            elif symbol["st_info"]["type"] == "STT_FUNC":
                self._functions.setdefault(symbol.name, []).append(index * _APART + symbol["st_value"])
        self._rows = sorted(_rows(ELFFile(io.BytesIO(bytes(moved)))), key=lambda row: row.start)


def with_sources(splats: Iterable[Splat], symbols: Symbols, module: str) -> list[Splat]:
    """The reports with their frames in a module resolved to file and line."""
    return [
        replace(splat, frames=tuple(_resolved(frame, symbols, module) for frame in splat.frames)) for splat in splats
    ]


def _resolved(frame: Frame, symbols: Symbols, module: str) -> Frame:
    if frame.module != module:
        return frame
    # Of a caller the trace has the address behind its call, which may be another line's.
    return replace(frame, source=symbols.source_of(frame.function, frame.offset - (not frame.is_exact)))


def _is_code(section: object) -> bool:
    return bool(section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR)  # type: ignore[index]


def _rows(elf: ELFFile) -> Iterator[_Row]:
    for unit in elf.get_dwarf_info(relocate_dwarf_sections=True).iter_CUs():
        program = unit.dwarfinfo.line_program_for_CU(unit)
        if program is None:
            continue
        last = None
        for entry in program.get_entries():
            state = entry.state
            if state is None:
                continue
            if last is not None and state.address > last.address:
                yield _Row(last.address, state.address, f"{_file(program, last.file)}:{last.line}")
            last = None if state.end_sequence else state


def _file(program: object, number: int) -> str:
    header = program.header  # type: ignore[attr-defined]
    # DWARF 5 counts files from 0, the versions before from 1.
    entry = header["file_entry"][number if header["version"] >= 5 else number - 1]
    return str(entry.name.decode(errors="replace")).rpartition("/")[2]
