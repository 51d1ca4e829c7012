# SPDX-License-Identifier: MIT
"""Lines of a log of any encoding, in parts of limited size. Whatever the file contains, memory is bounded."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from vmlab.errors import UsageError
from vmlab.klog.formats.compression import unpacked
from vmlab.text import without_sequences

PIECE_BYTES = 128 << 10
"""Size of the parts that are read."""
LONGEST_LINE_BYTES = 64 << 10
"""Maximum of a line that is kept: an entry of journalctl -o json has some KB."""
_EXAMINED_BYTES = 64 << 10
_MOST_NULS_BYTES = 64 << 20
"""Maximum of NULs before any text: a file system pads a log after a power cut."""
_MOST_CONTROLS = 0.05
_CONTROLS = bytes({*range(1, 32), 127} - set(b"\t\n\v\f\r\b\x1b"))
_JOURNAL = b"LPKSHHRH"
_ENCODINGS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# A field of journalctl -o export whose value has several lines: its name, eight bytes with its size, its value.
_SIZED_FIELD = re.compile(rb"^([A-Z_][A-Z0-9_]{0,63})\n[\s\S]{4}\0{4}", re.MULTILINE)
_EXPECTED = "expected the text of a kernel log, such as dmesg prints"
_LAST_RETURNS = re.compile(r"\r+$", re.MULTILINE)


def read_lines(stream: BinaryIO, *, name: str) -> Iterator[list[str]]:
    """Yield the lines of a log in parts, without terminal sequences, carriage returns at their ends, and NULs. A line
    keeps a carriage return in its middle, and of a long line only the beginning.

    Raises `UsageError` if the file is empty, binary or damaged. `name` stands for it in messages.
    """
    pending = b""
    is_cut = False
    for piece in _text_pieces(stream, name):
        if is_cut:
            _, newline, piece = piece.partition(b"\n")
            if not newline:
                continue
            is_cut = False
            piece = b"\n" + piece
        head, newline, last = piece.rpartition(b"\n")
        if newline:
            yield _lines(pending + head)
            pending = b""
        pending += last
        if len(pending) > LONGEST_LINE_BYTES:
            pending, is_cut = pending[:LONGEST_LINE_BYTES], True
    if pending:
        yield _lines(pending)


def _lines(data: bytes) -> list[str]:
    if b"\0\0\0\0" in data:
        data = _SIZED_FIELD.sub(rb"\1=", data)
    text = data.replace(b"\0", b"").decode("utf-8", errors="backslashreplace")
    if "\x1b" in text:
        text = without_sequences(text)
    if "\r" in text:
        text = _LAST_RETURNS.sub("", text)
    return [line if len(line) <= LONGEST_LINE_BYTES else line[:LONGEST_LINE_BYTES] for line in text.split("\n")]


def _text_pieces(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Content in UTF-8, unpacked."""
    blocks = iter(lambda: stream.read(PIECE_BYTES), b"")
    first = next(blocks, b"")
    if not first:
        raise UsageError(f"{name} is empty", hint=_EXPECTED)
    if first.startswith(_JOURNAL):
        raise UsageError(f"{name} is a journal's file", hint="type `journalctl -k --file FILE | vmlab log`")
    pieces = unpacked(blocks, first, name=name)
    start = _first_text(pieces, name)
    encoding = _encoding_of(start)
    _require_text(start, encoding, name)
    if encoding == "utf-8":
        yield start.removeprefix(codecs.BOM_UTF8)
        yield from pieces
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    yield decoder.decode(start).removeprefix("\ufeff").encode()
    for piece in pieces:
        yield decoder.decode(piece).encode()


def _first_text(pieces: Iterator[bytes], name: str) -> bytes:
    """First piece that has more than NULs."""
    skipped = 0
    for piece in pieces:
        if piece.strip(b"\0"):
            return piece
        skipped += len(piece)
        if skipped > _MOST_NULS_BYTES:
            break
    raise UsageError(f"{name} has no text, only NULs" if skipped else f"{name} is empty", hint=_EXPECTED)


def _encoding_of(data: bytes) -> str:
    marked = next((encoding for mark, encoding in _ENCODINGS if data.startswith(mark)), "")
    if marked:
        return marked
    # Without a mark: every second byte of ASCII text is a NUL.
    sample = data[:4096]
    for encoding, nuls, letters in (("utf-16-le", sample[1::2], sample[::2]), ("utf-16-be", sample[::2], sample[1::2])):
        if len(sample) > 8 and nuls.count(0) > 0.9 * len(nuls) and letters.count(0) < 0.1 * len(letters):
            return encoding
    return "utf-8"


def _require_text(data: bytes, encoding: str, name: str) -> None:
    sample = (
        data[:_EXAMINED_BYTES] if encoding == "utf-8" else data[:_EXAMINED_BYTES].decode(encoding, "replace").encode()
    )
    sample = sample.replace(b"\0", b"")
    controls = len(sample) - len(sample.translate(None, _CONTROLS))
    # A truncated character at the sample's end counts as one byte that is not UTF-8.
    foreign = sample.decode("utf-8", "replace").count("\ufffd")
    if controls > max(4, _MOST_CONTROLS * len(sample)) or foreign > max(4, len(sample) // 5):
        raise UsageError(f"{name} is binary, not text", hint=_EXPECTED)
