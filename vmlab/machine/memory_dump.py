# SPDX-License-Identifier: MIT
"""Search for the kernel's VMCOREINFO note, which drgn needs, in a dump of a guest's memory."""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

from vmlab.errors import VmlabError
from vmlab.system.process import run

_TRIM_TIMEOUT_S = 600
_NAME = b"VMCOREINFO\0\0"
_HEADER_BYTES = 12
_LONGEST_BYTES = 4096


def note_path(dump: Path) -> Path:
    """Path of a dump's note, for drgn's --vmcoreinfo."""
    return dump.with_suffix(".vmcoreinfo")


def finish_dump(dump: Path) -> None:
    """Punch holes for a dump's zeros (five sixths of an idle guest's memory), and write its note beside it."""
    with contextlib.suppress(VmlabError):
        # Not every file system supports holes.
        run(["fallocate", "--dig-holes", str(dump)], timeout_s=_TRIM_TIMEOUT_S)
    note = find_vmcoreinfo(dump)
    if note is not None:
        note_path(dump).write_bytes(note)


def find_vmcoreinfo(dump: Path) -> bytes | None:
    """Find the kernel's VMCOREINFO note in a raw ELF dump; None when it is missing. The kernel keeps it in memory
    for kdump (kernel/crash_core.c), as an ELF note: sizes of name and text, type 0, the name, the text.

    QEMU adds the note to a dump only for a guest with a `vmcoreinfo` device; this search does not need the device.
    """
    if not dump.stat().st_size:
        return None  # mmap fails on an empty file
    with dump.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        place = -1
        while (place := memory.find(_NAME + b"OSRELEASE=", place + 1)) >= 0:
            start = place - _HEADER_BYTES
            name_size, size, kind = (int.from_bytes(memory[start + at : start + at + 4], "little") for at in (0, 4, 8))
            if (name_size, kind) == (len(_NAME) - 1, 0) and 0 < size <= _LONGEST_BYTES:
                return memory[place + len(_NAME) : place + len(_NAME) + size]
    return None
