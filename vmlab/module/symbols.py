# SPDX-License-Identifier: MIT
"""Source lines from a module's debug information: from `fib_read+0x1b` to `fibdrv_main.c:42`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from vmlab.klog.call_trace import Frame, Line
from vmlab.klog.splat import Splat
from vmlab.module.elf_limits import require_sane
from vmlab.module.own_files import OwnFiles
from vmlab.module.relocated import Relocated
from vmlab.module.unit import Unit

_T = TypeVar("_T")


class Symbols:
    """Functions and lines of a built module. Reading fibdrv takes 0.2 s, and 20 ms for each file that is looked up."""

    def __init__(self, ko: Path, *, root: str = "") -> None:
        """Read a module that was built in the directory `root`, if known. Raises nothing: without usable debug
        information all results are empty."""
        self._root = root
        self._functions: dict[str, list[int]] = {}
        self._units: tuple[Unit, ...] = ()
        _if_sound(lambda: self._read(ko.read_bytes()), None)

    def learn(self, places: Iterable[tuple[str, int]]) -> None:
        """Announce the functions and offsets that are asked for next; does nothing here."""

    def lines_of(self, function: str, offset: int) -> tuple[Line, ...]:
        """Source lines of an address, innermost first: those of inlined functions before their callers'.
        Empty when they are unknown, or when several functions have that name."""
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
        """Innermost line in the module's files, `fibdrv_main.c:42`, else in the kernel's; empty when unknown."""
        return Frame(function=function, offset=offset, size=0, lines=self.lines_of(function, offset)).source

    def _read(self, data: bytes) -> None:
        require_sane(data)
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
    """Resolve the splats' frames in a module to file and line."""
    splats = list(splats)
    frames = [frame for splat in splats for frame in splat.frames if frame.module == module]
    symbols.learn(place_of(frame) for frame in frames)
    return [
        replace(splat, frames=tuple(_resolved(frame, symbols, module) for frame in splat.frames)) for splat in splats
    ]


def _resolved(frame: Frame, symbols: Symbols, module: str) -> Frame:
    if frame.module != module:
        return frame
    return replace(frame, lines=symbols.lines_of(*place_of(frame)))


def place_of(frame: Frame) -> tuple[str, int]:
    """Function and offset of a frame's code."""
    # A caller's address in the trace is after its call, which may belong to another line.
    return frame.function, frame.offset - (not frame.is_exact)


def _if_sound(read: Callable[[], _T], otherwise: _T) -> _T:
    try:
        return read()
    except Exception:  # noqa: BLE001
        # pyelftools does not validate its input, and may raise any exception.
        return otherwise
