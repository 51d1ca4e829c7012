# SPDX-License-Identifier: MIT
"""One unit of a module's debug information: a compiled source file, and the lines of its addresses."""

from __future__ import annotations

import bisect
import contextlib
import functools
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.lineprogram import LineProgram

from vmlab.module.inlining import Call, Inlining
from vmlab.module.own_files import joined


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a source file, and its function."""

    path: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class _Row:
    start: int
    end: int
    file: int
    line: int


class Unit:
    """A compiled source file. Reads the line table at first use, and the functions for the first address in it.

    Each method may raise any exception of pyelftools if the file is damaged.
    """

    def __init__(self, unit: CompileUnit) -> None:
        self._unit = unit
        self._directory = self._text("DW_AT_comp_dir")
        self.source = joined(self._directory, self._text("DW_AT_name"))
        """Path of the file that was compiled."""

    def places_at(self, address: int, function: str) -> list[Place]:
        """Source lines of an address in a function, innermost first; empty for an address of another unit."""
        if not self._may_contain(address):
            return []
        row = self._row_at(address)
        if row is None:
            return []
        calls: list[Call] = []
        with contextlib.suppress(Exception):
            # If the functions are damaged, or in clang's format, the line alone is still useful.
            calls = self._inlining.calls_at(address)
        functions = [*(call.function for call in calls), function]
        lines = [(row.file, row.line), *((call.file, call.line) for call in calls)]
        found = [Place(self._path(file), line, name) for (file, line), name in zip(lines, functions, strict=True)]
        return [place for place in found if place.path and place.line]

    @functools.cached_property
    def directories(self) -> tuple[str, ...]:
        """Directories of its files."""
        folders = (joined(self._directory, _decoded(name)) for name in self._header("include_directory"))
        return tuple(folders)

    @functools.cached_property
    def _inlining(self) -> Inlining:
        return Inlining(self._unit)

    @functools.cached_property
    def _program(self) -> LineProgram | None:
        program: LineProgram | None = self._unit.dwarfinfo.line_program_for_CU(self._unit)
        return program

    def _header(self, name: str) -> Any:
        return self._program.header[name] if self._program is not None else ()

    def _may_contain(self, address: int) -> bool:
        attributes = self._unit.get_top_DIE().attributes
        if "DW_AT_ranges" in attributes:
            return any(start <= address < end for start, end in self._inlining.ranges(attributes["DW_AT_ranges"].value))
        low, high = attributes.get("DW_AT_low_pc"), attributes.get("DW_AT_high_pc")
        if low is None or high is None:
            return False
        end = high.value if high.form == "DW_FORM_addr" else low.value + high.value
        return bool(low.value <= address < end)

    @functools.cached_property
    def _rows(self) -> list[_Row]:
        rows = []
        last = None
        for entry in self._program.get_entries() if self._program is not None else ():
            state = entry.state
            if state is None:
                continue
            if last is not None and state.address > last.address:
                rows.append(_Row(last.address, state.address, last.file, last.line))
            last = None if state.end_sequence else state
        return sorted(rows, key=attrgetter("start"))

    def _row_at(self, address: int) -> _Row | None:
        number = bisect.bisect_right(self._rows, address, key=attrgetter("start"))
        row = self._rows[number - 1] if number else None
        return row if row is not None and address < row.end else None

    def _path(self, number: int) -> str:
        """Path of a file in the line table; empty if the table does not have it."""
        files = self._header("file_entry")
        is_new = bool(files) and self._header("version") >= 5
        # Before DWARF 5 files and directories count from 1; file 0 does not exist, directory 0 is the unit's.
        place = number if is_new else number - 1
        if not 0 <= place < len(files):
            return ""
        entry = files[place]
        folders = ["", *self._header("include_directory")] if not is_new else self._header("include_directory")
        folder = entry.dir_index or 0
        known = _decoded(folders[folder]) if 0 <= folder < len(folders) else ""
        return joined(self._directory, known, _decoded(entry.name))

    def _text(self, name: str) -> str:
        attribute = self._unit.get_top_DIE().attributes.get(name)
        return _decoded(attribute.value) if attribute is not None and isinstance(attribute.value, bytes) else ""


def _decoded(name: object) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)
