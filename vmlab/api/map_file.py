# SPDX-License-Identifier: MIT
"""File of the map: a header as JSON, then sorted rows in compressed blocks, of which a lookup reads one.

docs/api-map.md describes the format. It is read strictly, with limits; tools/apimap/refresh.py writes it.
"""

from __future__ import annotations

import bisect
import json
import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vmlab.api.rows import HINT, Kind, Row, decode, decode_all, encode, is_mask, order
from vmlab.decode import read_regular_file, structure, unstructure
from vmlab.errors import AssetError, UsageError

MAGIC = b"vmlab-api-map 1 "
BLOCK_BYTES = 1 << 18
"""Size of a block before compression: it unpacks in some 10 ms."""
_FILTERS = ({"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 19},)
_MOST_MEMORY = 8 << 20
"""Maximum memory to unpack a block, in bytes."""
_LARGEST_BYTES = 16 << 20
_LARGEST_HEADER_BYTES = 1 << 20
_LARGEST_BLOCK_BYTES = 4 * BLOCK_BYTES
_MOST_BLOCKS = 4096
_MOST_LINES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A kernel line in the map, and the package version that was examined."""

    line: str
    version: str
    has_headers: bool
    """False if the archives have no headers of this version: its macros and inline functions are unknown."""
    has_modules: bool
    """False if the archives have no modules of this version: only the exports of the kernel itself are known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    first: str
    bytes: int
    unpacked_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    lines: tuple[Line, ...]
    blocks: tuple[_Block, ...] = field(default=())


class ApiMap:
    """The map, with the blocks that were read."""

    def __init__(self, data: bytes) -> None:
        """Read the header; raises `AssetError` if the data is not a map."""
        end = data.find(b"\n", 0, 64)
        if not data.startswith(MAGIC) or end < 0 or not data[len(MAGIC) : end].isdigit():
            raise _damaged("it has no header")
        length = int(data[len(MAGIC) : end])
        if length > _LARGEST_HEADER_BYTES:
            raise _damaged(f"its header has {length} bytes")
        try:
            header = structure(json.loads(data[end + 1 : end + 1 + length]), _Header, where="header")
        except (ValueError, RecursionError, UsageError) as error:
            raise _damaged(str(error)) from None
        self.lines = header.lines
        """Kernel lines, oldest first."""
        self._blocks = header.blocks
        self._data = data
        self._at = [end + 1 + length]
        for block in header.blocks:
            if not (0 < block.bytes <= _LARGEST_BLOCK_BYTES and 0 < block.unpacked_bytes <= _LARGEST_BLOCK_BYTES):
                raise _damaged("a block has an invalid size")
            self._at.append(self._at[-1] + block.bytes)
        if len(self._blocks) > _MOST_BLOCKS or not 0 < len(self.lines) <= _MOST_LINES or self._at[-1] != len(data):
            raise _damaged("its size is not the sum of its parts")
        self._first = [block.first for block in self._blocks]
        self._texts: dict[int, str] = {}

    def rows(self, name: str) -> dict[Kind, Row]:
        """Return the rows of a name by kind; empty if it is not in the map. Unpacks one block."""
        number = bisect.bisect_right(self._first, name) - 1
        if number < 0 or not name or "\n" in name or "\t" in name:
            return {}
        text = self._text(number)
        at = 0 if text.startswith(f"{name}\t") else text.find(f"\n{name}\t") + 1
        if at == 0 and not text.startswith(f"{name}\t"):
            return {}
        found: dict[Kind, Row] = {}
        for line in _lines_from(text, at):
            if not line.startswith(f"{name}\t"):
                break
            row = decode(line, len(self.lines))
            found[row.kind] = row
        return found

    def rows_below(self, prefix: str) -> Iterator[Row]:
        """Yield the rows whose names begin with a prefix, such as a directory of headers."""
        for number in range(max(bisect.bisect_right(self._first, prefix) - 1, 0), len(self._blocks)):
            if self._first[number] > prefix and not self._first[number].startswith(prefix):
                return
            lines = self._text(number).splitlines()
            yield from (decode(line, len(self.lines)) for line in lines if line.startswith(prefix))

    def changed(self, older: int, newer: int) -> frozenset[str]:
        """Return the names with another value in two lines, given by index: about a second, for the whole map."""
        both = 1 << older | 1 << newer
        found = set()
        for number in range(len(self._blocks)):
            for line in self._text(number).splitlines():
                parts = line.split("\t")
                if any(int(mask, 16) & both not in (0, both) for mask in parts[2::2] if is_mask(mask)):
                    found.add(parts[0])
        return frozenset(found)

    def all_rows(self) -> Iterator[Row]:
        """Yield every row, sorted by name and kind: some seconds."""
        for number in range(len(self._blocks)):
            yield from decode_all(self._text(number), len(self.lines))

    def _text(self, number: int) -> str:
        if number not in self._texts:
            block = self._blocks[number]
            unpacking = lzma.LZMADecompressor(memlimit=_MOST_MEMORY)
            try:
                text = unpacking.decompress(self._data[self._at[number] : self._at[number + 1]], block.unpacked_bytes)
                self._texts[number] = text.decode("ascii")
            except (lzma.LZMAError, EOFError, UnicodeDecodeError) as error:
                raise _damaged(str(error)) from None
            if not unpacking.eof or len(text) != block.unpacked_bytes:
                raise _damaged("a block has another size than its header says")
        return self._texts[number]


def _lines_from(text: str, at: int) -> Iterator[str]:
    while at < len(text):
        end = text.find("\n", at)
        yield text[at : end if end >= 0 else len(text)]
        at = end + 1 if end >= 0 else len(text)


def read_map(path: Path) -> ApiMap:
    """Read the map's header from a file; raises `AssetError` if the file is missing, too large or damaged."""
    try:
        return ApiMap(read_regular_file(path, largest_bytes=_LARGEST_BYTES))
    except OSError as error:
        raise AssetError(
            f"cannot read the map of the kernel's API {str(path)!r}: {error.strerror}", hint=HINT
        ) from None
    except UsageError as error:
        raise AssetError(error.message, hint=HINT) from None


def map_bytes(lines: Iterable[Line], rows: Iterable[Row]) -> bytes:
    """Return the content of a map file. All rows of a name are in one block."""
    header_blocks: list[_Block] = []
    packed: list[bytes] = []
    pending: list[str] = []
    first, size, last = "", 0, ""

    def close() -> None:
        text = "".join(pending).encode("ascii")
        packed.append(lzma.compress(text, format=lzma.FORMAT_ALONE, filters=_FILTERS))
        header_blocks.append(_Block(first=first, bytes=len(packed[-1]), unpacked_bytes=len(text)))
        pending.clear()

    for row in sorted(rows, key=order):
        if pending and size >= BLOCK_BYTES and row.name != last:
            close()
            size = 0
        if not pending:
            first = row.name
        line = f"{encode(row)}\n"
        pending.append(line)
        size, last = size + len(line), row.name
    if pending:
        close()
    header = json.dumps(unstructure(_Header(lines=tuple(lines), blocks=tuple(header_blocks))), separators=(",", ":"))
    return b"".join((MAGIC, str(len(header)).encode(), b"\n", header.encode("ascii"), *packed))


def _damaged(why: str) -> AssetError:
    return AssetError(f"the map of the kernel's API is damaged: {why}", hint=HINT)
