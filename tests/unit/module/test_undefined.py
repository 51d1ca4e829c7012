# SPDX-License-Identifier: MIT
"""Symbols that a built module leaves undefined."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from unit.module.elf_file import elf_file
from vmlab.errors import BuildError
from vmlab.module.undefined import undefined_symbols

_NAMES = b"\0_printk\0mine\0"


def _symbol(name: int, section: int) -> bytes:
    return struct.pack("<IBBHQQ", name, 0x10, 0, section, 0, 0)


def test_only_symbols_without_a_section_are_undefined(tmp_path: Path) -> None:
    ko = tmp_path / "m.ko"
    table = _symbol(0, 0) + _symbol(_NAMES.index(b"_printk"), 0) + _symbol(_NAMES.index(b"mine"), 1)
    ko.write_bytes(elf_file({".symtab": table, ".strtab": _NAMES}))

    assert undefined_symbols(ko) == {"_printk"}


def test_a_stripped_module_has_no_known_symbols(tmp_path: Path) -> None:
    ko = tmp_path / "m.ko"
    ko.write_bytes(elf_file({".modinfo": b"license=GPL\0"}))

    assert undefined_symbols(ko) == frozenset()


@pytest.mark.parametrize("content", [b"", b"not ELF", elf_file({".modinfo": b"x"})[:90]])
def test_a_damaged_module_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    ko = tmp_path / "m.ko"
    ko.write_bytes(content)

    with pytest.raises(BuildError, match=r"'m\.ko' is not an ELF file"):
        undefined_symbols(ko)
