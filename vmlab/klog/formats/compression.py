# SPDX-License-Identifier: MIT
"""Decompression of a log within limits on memory and size."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from vmlab.errors import UsageError

MOST_UNPACKED_BYTES = 1 << 30
"""Maximum size of a log, unpacked: a file of 1 MB can unpack to some GB."""
_MOST_DICTIONARY_BYTES = 80 << 20
"""Maximum memory of xz's decoder: that of `xz -9` takes 65 MiB, and a header may name 4 GiB."""
_PIECE_BYTES = 256 << 10
_MAGIC = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}
_OTHERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\x89LZO\0": "lzop", b"PK\x03\x04": "unzip"}
_COMMANDS = {"unzip": "unzip -p"}


def unpacked(blocks: Iterator[bytes], first: bytes, *, name: str) -> Iterator[bytes]:
    """Yield the content of a file: unpacked if it is compressed by gzip, xz or bzip2. `first` is the first block.

    Raises `UsageError` if the file is damaged, larger than `MOST_UNPACKED_BYTES`, or compressed by another program.
    """
    program = next((word for magic, word in _OTHERS.items() if first.startswith(magic)), "")
    if program:
        command = _COMMANDS.get(program, f"{program} -dc")
        raise UsageError(f"{name} is compressed by {program}", hint=f"type `{command} FILE | vmlab log`")
    kind = next((word for magic, word in _MAGIC.items() if first.startswith(magic)), "")
    every = _chained(first, blocks)
    if not kind:
        yield from every
        return
    try:
        size = 0
        for block in _gunzipped(every) if kind == "gzip" else _decompressed(every, kind):
            size += len(block)
            if size > MOST_UNPACKED_BYTES:
                most = MOST_UNPACKED_BYTES >> 30
                hint = f"type `{kind} -dc FILE | vmlab log` to read it all"
                raise UsageError(f"{name} unpacks to more than {most} GiB", hint=hint)
            yield block
    except (zlib.error, OSError, ValueError, EOFError, MemoryError) as error:
        raise UsageError(f"{name} is not valid {kind}: {error}", hint="copy the file again") from None


def _chained(first: bytes, blocks: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from blocks


def _gunzipped(blocks: Iterable[bytes]) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(wbits=31)
    for block in blocks:
        while block:
            yield unpacker.decompress(block, _PIECE_BYTES)
            block = unpacker.unconsumed_tail
            if unpacker.eof:
                # A file may have several members.
                block = unpacker.unused_data.lstrip(b"\0")
                unpacker = zlib.decompressobj(wbits=31) if block else unpacker
    if not unpacker.eof:
        raise EOFError("its end is missing")


def _decompressed(blocks: Iterable[bytes], kind: str) -> Iterator[bytes]:
    from bz2 import BZ2Decompressor
    from lzma import LZMADecompressor, LZMAError

    xz = LZMADecompressor(memlimit=_MOST_DICTIONARY_BYTES)
    unpacker: BZ2Decompressor | LZMADecompressor = xz if kind == "xz" else BZ2Decompressor()
    try:
        for block in blocks:
            yield unpacker.decompress(block, _PIECE_BYTES)
            while not unpacker.eof and not unpacker.needs_input:
                yield unpacker.decompress(b"", _PIECE_BYTES)
            if unpacker.eof:
                return
    except LZMAError as error:
        raise ValueError(str(error)) from None
    raise EOFError("its end is missing")
