# SPDX-License-Identifier: MIT
"""A small ELF file in place of a built module."""

from __future__ import annotations

import struct


def elf_file(sections: dict[str, bytes]) -> bytes:
    """A relocatable ELF file for x86-64 with only these sections."""
    names = ["", *sections, ".shstrtab"]
    table = b"".join(name.encode() + b"\0" for name in names)
    contents = [b"", *sections.values(), table]
    offset, body, headers = 64, b"", b""
    position = 0
    for number, (name, content) in enumerate(zip(names, contents, strict=True)):
        kind = 0 if number == 0 else 3 if name == ".shstrtab" else 1
        at = offset + len(body) if number else 0
        headers += struct.pack("<IIQQQQIIQQ", position, kind, 0, 0, at, len(content), 0, 0, 1, 0)
        body += content
        position += len(name) + 1
    header = b"\x7fELF\2\1\1" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, offset + len(body), 0, 64, 0, 0, 64, len(names), len(names) - 1
    )
    return header + body + headers
