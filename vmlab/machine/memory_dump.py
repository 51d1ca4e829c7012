# SPDX-License-Identifier: MIT
"""What drgn needs besides a dump of a guest's memory: the kernel's own note on itself, found in the dump."""

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
    """Where the note of a dump is kept, for drgn's --vmcoreinfo."""
    return dump.with_suffix(".vmcoreinfo")


def finish_dump(dump: Path) -> None:
    """Free what holds only zeros of a dump, five sixths of an idle guest's, and write its note beside it."""
    with contextlib.suppress(VmlabError):
        # A file system without holes keeps the zeros.
        run(["fallocate", "--dig-holes", str(dump)], timeout_s=_TRIM_TIMEOUT_S)
    note = find_vmcoreinfo(dump)
    if note is not None:
        note_path(dump).write_bytes(note)


def find_vmcoreinfo(dump: Path) -> bytes | None:
    """The kernel's VMCOREINFO note out of a raw ELF dump; None when it is not there. The kernel keeps it in its memory
    for kdump (kernel/crash_core.c), as an ELF note: sizes of name and text, type 0, the name, the text.

    QEMU writes it into a dump only for a guest with its `vmcoreinfo` device; the guest need not have one for this.
    """
    if not dump.stat().st_size:
        return None  # mmap takes no empty file
    with dump.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        place = -1
        while (place := memory.find(_NAME + b"OSRELEASE=", place + 1)) >= 0:
            start = place - _HEADER_BYTES
            name_size, size, kind = (int.from_bytes(memory[start + at : start + at + 4], "little") for at in (0, 4, 8))
            if (name_size, kind) == (len(_NAME) - 1, 0) and 0 < size <= _LONGEST_BYTES:
                return memory[place + len(_NAME) : place + len(_NAME) + size]
    return None
