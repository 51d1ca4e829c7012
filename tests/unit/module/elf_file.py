# SPDX-License-Identifier: MIT
"""A small ELF file in place of a built module."""

from __future__ import annotations

import struct

_KINDS = {".shstrtab": 3, ".strtab": 3, ".symtab": 2}
_SYMBOL_BYTES = 24


def elf_file(sections: dict[str, bytes]) -> bytes:
    """A relocatable ELF file for x86-64 with only these sections; `.symtab` needs `.strtab`."""
    names = ["", *sections, ".shstrtab"]
    table = b"".join(name.encode() + b"\0" for name in names)
    contents = [b"", *sections.values(), table]
    offset, body, headers = 64, b"", b""
    position = 0
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        kind = 0 if number == 0 else _KINDS.get(name, 1)
        link, size = (names.index(".strtab"), _SYMBOL_BYTES) if kind == 2 else (0, 0)
        at = offset + len(body) if number else 0
        headers += struct.pack("<IIQQQQIIQQ", position, kind, 0, 0, at, len(content), link, 0, 1, size)
        body += content
        position += len(name) + 1
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, offset + len(body), 0, 64, 0, 0, 64, len(names), len(names) - 1
    )
    return header + body + headers
