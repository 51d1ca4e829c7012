# SPDX-License-Identifier: MIT
"""Symbols that a built module leaves to the kernel and to other modules."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from vmlab.errors import BuildError, hides_frames
from vmlab.module.elf_limits import UnusableElf, require_sane
from vmlab.module.inspect import MOST_FILE_BYTES

__tracebackhide__ = hides_frames


def undefined_symbols(ko: Path) -> frozenset[str]:
    """Return the undefined symbols of a .ko; raises `BuildError` if it is not an ELF file or is damaged."""
    from elftools.elf.elffile import ELFFile

    try:
        with ko.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MOST_FILE_BYTES:
                raise UnusableElf(f"it has {size} bytes, the limit is {MOST_FILE_BYTES}")
            data = stream.read(size)
        require_sane(data)
        table: Any = ELFFile(io.BytesIO(data)).get_section_by_name(".symtab")
        symbols = table.iter_symbols() if table is not None else ()
        return frozenset(symbol.name for symbol in symbols if symbol.name and symbol["st_shndx"] == "SHN_UNDEF")
    except Exception as error:  # noqa: BLE001 - pyelftools may raise any exception if the file is damaged
        raise BuildError(f"{ko.name!r} is not an ELF file: {error}") from None
