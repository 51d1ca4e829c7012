# SPDX-License-Identifier: MIT
"""The kernel's vmcoreinfo note, read from a memory dump."""

from __future__ import annotations

from pathlib import Path

from vmlab.machine.memory_dump import find_vmcoreinfo, finish_dump, note_path

_TEXT = b"OSRELEASE=6.1.0-56-cloud-amd64\nPAGESIZE=4096\n"


def _note(text: bytes, *, name_size: int = 11, kind: int = 0) -> bytes:
    header = b"".join(number.to_bytes(4, "little") for number in (name_size, len(text), kind))
    return header + b"VMCOREINFO\0\0" + text


def _dump(tmp_path: Path, *parts: bytes) -> Path:
    path = tmp_path / "dump.elf"
    path.write_bytes(b"\x7fELF" + b"\0" * 8192 + b"".join(parts))
    return path


def test_the_note_is_found_wherever_it_lies(tmp_path: Path) -> None:
    assert find_vmcoreinfo(_dump(tmp_path, b"x" * 333, _note(_TEXT), b"y" * 99)) == _TEXT


def test_the_name_alone_is_no_note(tmp_path: Path) -> None:
    stray = b"VMCOREINFO\0\0OSRELEASE=of something else"
    wrong = (_note(_TEXT, name_size=12), _note(_TEXT, kind=1), _note(_TEXT + b"x" * 5000))
    assert find_vmcoreinfo(_dump(tmp_path, stray, *wrong)) is None
    assert find_vmcoreinfo(_dump(tmp_path, stray, *wrong, _note(_TEXT))) == _TEXT


def test_a_dump_is_trimmed_and_its_note_kept_beside_it(tmp_path: Path) -> None:
    dump = _dump(tmp_path, _note(_TEXT), b"\0" * 2**20)
    size = dump.stat().st_size
    finish_dump(dump)
    assert dump.stat().st_size == size
    assert note_path(dump).read_bytes() == _TEXT


def test_a_dump_without_a_note_has_none_beside_it(tmp_path: Path) -> None:
    dump = _dump(tmp_path)
    finish_dump(dump)
    assert not note_path(dump).exists()
