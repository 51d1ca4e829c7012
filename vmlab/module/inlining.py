# SPDX-License-Identifier: MIT
"""Inlined calls at an address, from one unit's debug information (DWARF 2 to 5).

pyelftools parses some 10,000 entries a second, and a unit of a kernel module has as many, mostly types of the kernel's
headers. So this module skips entries by their size, and reads only functions and inlined calls.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.ranges import BaseAddressEntry

_FUNCTION = "DW_TAG_subprogram"
_INLINED = "DW_TAG_inlined_subroutine"
_WIDTHS = {
    "DW_FORM_flag_present": 0,
    "DW_FORM_implicit_const": 0,
    **dict.fromkeys(["DW_FORM_data1", "DW_FORM_flag", "DW_FORM_ref1", "DW_FORM_strx1", "DW_FORM_addrx1"], 1),
    **dict.fromkeys(["DW_FORM_data2", "DW_FORM_ref2", "DW_FORM_strx2", "DW_FORM_addrx2"], 2),
    **dict.fromkeys(["DW_FORM_strx3", "DW_FORM_addrx3"], 3),
    **dict.fromkeys(["DW_FORM_data4", "DW_FORM_ref4", "DW_FORM_strx4", "DW_FORM_addrx4", "DW_FORM_ref_sup4"], 4),
    **dict.fromkeys(["DW_FORM_data8", "DW_FORM_ref8", "DW_FORM_ref_sig8", "DW_FORM_ref_sup8"], 8),
    "DW_FORM_data16": 16,
}
_OFFSETS = frozenset(
    [
        "DW_FORM_strp",
        "DW_FORM_line_strp",
        "DW_FORM_strp_sup",
        "DW_FORM_sec_offset",
        "DW_FORM_ref_addr",
        "DW_FORM_GNU_ref_alt",
        "DW_FORM_GNU_strp_alt",
    ]
)
_LENGTHS = {"DW_FORM_block1": 1, "DW_FORM_block2": 2, "DW_FORM_block4": 4}
_LEB_LENGTHS = frozenset({"DW_FORM_block", "DW_FORM_exprloc"})
_LEBS = frozenset(
    [
        "DW_FORM_sdata",
        "DW_FORM_udata",
        "DW_FORM_ref_udata",
        "DW_FORM_strx",
        "DW_FORM_addrx",
        "DW_FORM_rnglistx",
        "DW_FORM_loclistx",
        "DW_FORM_GNU_addr_index",
        "DW_FORM_GNU_str_index",
    ]
)
_IN_UNIT = frozenset({"DW_FORM_ref1", "DW_FORM_ref2", "DW_FORM_ref4", "DW_FORM_ref8", "DW_FORM_ref_udata"})
_MOST_LINKS = 4
"""Maximum of links from an inlined call to the entry with the function's name: one in C, up to two in C++ and Rust."""


@dataclass(frozen=True, slots=True)
class Call:
    """An inlined call: the function's name, and the file number and line of the call."""

    function: str
    file: int
    line: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """An abbreviation: the kind of an entry and the forms of its attributes."""

    is_inlined: bool
    is_scope: bool
    has_children: bool
    attributes: tuple[tuple[str, str, int], ...]
    size: int
    """Size of the whole entry after its code; -1 if its forms have no fixed size."""


@dataclass(frozen=True, slots=True)
class _Scope:
    depth: int
    shape: _Shape
    place: int


class Inlining:
    """Functions of one unit, and the calls that are inlined in them."""

    def __init__(self, unit: CompileUnit) -> None:
        self._unit = unit
        section = unit.dwarfinfo.debug_info_sec
        self._info = b""
        if section is not None:
            section.stream.seek(0)
            self._info = section.stream.read()
        is_64 = unit.structs.dwarf_format == 64
        self._offset_size = 8 if is_64 else 4
        self._end = unit.cu_offset + unit["unit_length"] + (12 if is_64 else 4)
        self._shapes: dict[int, _Shape] = {}
        self._scopes = list(self._find_scopes())

    def calls_at(self, address: int) -> list[Call]:
        """Inlined calls that contain an address, innermost first."""
        calls: list[Call] = []
        function: int | None = None
        for scope in self._scopes:
            if function is not None and scope.depth <= function:
                break
            if scope.shape.is_inlined and function is None:
                continue
            values = self._values(scope)
            if not self._contains(values, address):
                continue
            if scope.shape.is_inlined:
                name = self._name(values.get("DW_AT_abstract_origin"))
                calls.insert(0, Call(name, values.get("DW_AT_call_file", 0), values.get("DW_AT_call_line", 0)))
            else:
                function = scope.depth
        return calls

    @functools.cached_property
    def base(self) -> int:
        """Base address of the unit's range lists."""
        low = self._unit.get_top_DIE().attributes.get("DW_AT_low_pc")
        return int(low.value) if low is not None else 0

    def ranges(self, offset: int) -> Iterator[tuple[int, int]]:
        """Yield the ranges of a range list: the first address, and one past the last."""
        base = self.base
        lists = self._unit.dwarfinfo.range_lists()
        for entry in lists.get_range_list_at_offset(offset, self._unit) if lists is not None else ():
            if isinstance(entry, BaseAddressEntry):
                base = entry.base_address
            else:
                start = 0 if entry.is_absolute else base
                yield start + entry.begin_offset, start + entry.end_offset

    def _contains(self, values: Mapping[str, Any], address: int) -> bool:
        if "DW_AT_ranges" in values:
            return any(start <= address < end for start, end in self.ranges(values["DW_AT_ranges"]))
        low, high = values.get("DW_AT_low_pc"), values.get("DW_AT_high_pc")
        return low is not None and high is not None and bool(low <= address < high)

    def _find_scopes(self) -> Iterator[_Scope]:
        place = self._unit.cu_die_offset
        depth = 0
        while place < self._end:
            code, place = self._leb(place)
            if code == 0:
                depth -= 1
                continue
            shape = self._shapes.get(code) or self._shape(code)
            if shape.is_scope:
                yield _Scope(depth, shape, place)
            if shape.size >= 0:
                place += shape.size
            else:
                for _, form, _ in shape.attributes:
                    place = self._behind(form, place)
            depth += shape.has_children

    def _shape(self, code: int) -> _Shape:
        table = self._unit.dwarfinfo.get_abbrev_table(self._unit["debug_abbrev_offset"])
        declared = table.get_abbrev(code)
        attributes = tuple((spec.name, spec.form, spec.value or 0) for spec in declared["attr_spec"])
        widths = [self._width(form) for _, form, _ in attributes]
        size = -1 if None in widths else sum(width for width in widths if width)
        tag = declared["tag"]
        shape = _Shape(tag == _INLINED, tag in (_FUNCTION, _INLINED), declared.has_children(), attributes, size)
        self._shapes[code] = shape
        return shape

    def _width(self, form: str) -> int | None:
        if form == "DW_FORM_addr":
            return int(self._unit["address_size"])
        return self._offset_size if form in _OFFSETS else _WIDTHS.get(form)

    def _behind(self, form: str, place: int) -> int:
        """Offset after an attribute."""
        width = self._width(form)
        if width is not None:
            return place + width
        if form in _LENGTHS:
            return place + _LENGTHS[form] + self._number(place, _LENGTHS[form])
        if form == "DW_FORM_string":
            return self._info.index(b"\0", place) + 1
        if form in _LEBS or form in _LEB_LENGTHS:
            number, place = self._leb(place)
            return place + (number if form in _LEB_LENGTHS else 0)
        raise ValueError(f"unsupported DWARF form {form}")

    def _values(self, scope: _Scope) -> dict[str, Any]:
        """Attributes of an entry as numbers; references are relative to the start of the section."""
        values: dict[str, Any] = {}
        place = scope.place
        for name, form, constant in scope.shape.attributes:
            behind = self._behind(form, place)
            if form in _LEBS:
                values[name] = self._leb(place)[0]
            else:
                values[name] = constant if form == "DW_FORM_implicit_const" else self._number(place, behind - place)
            if form in _IN_UNIT:
                values[name] += self._unit.cu_offset
            if name == "DW_AT_high_pc" and form != "DW_FORM_addr":
                # Since DWARF 4 it may be a length.
                values[name] += values.get("DW_AT_low_pc", 0)
            place = behind
        return values

    def _name(self, offset: int | None) -> str:
        """Name of the function that an entry originates from."""
        for _ in range(_MOST_LINKS):
            if offset is None or not self._unit.cu_die_offset <= offset < self._end:
                break
            die = self._unit.get_DIE_from_refaddr(offset)
            if "DW_AT_name" in die.attributes:
                return str(die.attributes["DW_AT_name"].value.decode(errors="replace"))
            link = die.attributes.get("DW_AT_specification") or die.attributes.get("DW_AT_abstract_origin")
            offset = link.value + self._unit.cu_offset if link is not None and link.form in _IN_UNIT else None
        return ""

    def _number(self, place: int, size: int) -> int:
        return int.from_bytes(self._info[place : place + size], "little")

    def _leb(self, place: int) -> tuple[int, int]:
        number = shift = 0
        while True:
            byte = self._info[place]
            place += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number, place
            shift += 7
