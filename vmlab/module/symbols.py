# SPDX-License-Identifier: MIT
"""From `fib_read+0x1b` to `fibdrv_read.c:42`, by a module's own debug information."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vmlab.klog.call_trace import Frame, Line
from vmlab.klog.splat import Splat
from vmlab.module.own_files import OwnFiles
from vmlab.module.relocated import Relocated
from vmlab.module.unit import Unit

_T = TypeVar("_T")


class Symbols:
    """A built module's functions and lines. Reading fibdrv costs 0.2 s, and each of its files that is asked 20 ms."""

    def __init__(self, ko: Path, *, root: str = "") -> None:
        """`root` is the directory that the module was built in, where it is known. Raises nothing: a module without
        debug information, or a damaged one, resolves nothing."""
        self._root = root
        self._functions: dict[str, list[int]] = {}
        self._units: tuple[Unit, ...] = ()
        _if_sound(lambda: self._read(ko.read_bytes()), None)

    def lines_of(self, function: str, offset: int) -> tuple[Line, ...]:
        """The lines that an address is made from, innermost first: those of inlined functions before their callers'.
        None when they are not known, or when several functions go by that name."""
        starts = self._functions.get(function, [])
        if len(starts) != 1:
            return ()
        address = starts[0] + offset
        for unit in self._units:
            read = functools.partial(self._lines, unit, address, function)
            lines: tuple[Line, ...] = _if_sound(read, ())
            if lines:
                return lines
        return ()

    def source_of(self, function: str, offset: int) -> str:
        """`fibdrv_read.c:42`, the innermost line in the module's own files; in the kernel's where none is in those."""
        return Frame(function=function, offset=offset, size=0, lines=self.lines_of(function, offset)).source

    def _read(self, data: bytes) -> None:
        relocated = Relocated(data)
        self._functions = relocated.functions
        self._units = tuple(map(Unit, relocated.dwarf.iter_CUs())) if relocated.elf.has_dwarf_info() else ()

    def _lines(self, unit: Unit, address: int, function: str) -> tuple[Line, ...]:
        places = unit.places_at(address, function)
        if not places:
            return ()
        files = OwnFiles((each.source for each in self._units), unit.directories, root=self._root)
        return tuple(
            Line(
                file=files.short(place.path), line=place.line, function=place.function, is_own=files.is_own(place.path)
            )
            for place in places
        )


def with_sources(splats: Iterable[Splat], symbols: Symbols, module: str) -> list[Splat]:
    """The reports with their frames in a module resolved to file and line."""
    return [
        replace(splat, frames=tuple(_resolved(frame, symbols, module) for frame in splat.frames)) for splat in splats
    ]


def _resolved(frame: Frame, symbols: Symbols, module: str) -> Frame:
    if frame.module != module:
        return frame
    # Of a caller the trace has the address behind its call, which may be another line's.
    return replace(frame, lines=symbols.lines_of(frame.function, frame.offset - (not frame.is_exact)))


def _if_sound(read: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return read()
    except Exception:  # noqa: BLE001
        # pyelftools trusts what it reads, and raises whatever comes of it.
        return otherwise
