# SPDX-License-Identifier: MIT
"""A file of any encoding or compression becomes lines; what is not text is refused in one line."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmlab.errors import UsageError
from vmlab.klog.formats import compression
from vmlab.klog.formats.source import LONGEST_LINE_BYTES, PIECE_BYTES, read_lines

_TEXT = "[    1.000000] gauge: speed is 5 m/s, 中文\n[    2.000000] gauge: stopped\n"
_LINES = _TEXT.splitlines()


def _read(data: bytes) -> list[str]:
    return [line for part in read_lines(io.BytesIO(data), name="'a.log'") for line in part if line]


def _gzip(data: bytes) -> bytes:
    # Without the time of day, which would be in the name of a test.
    return gzip.compress(data, mtime=0)


@pytest.mark.parametrize(
    "data",
    [
        _TEXT.encode(),
        codecs.BOM_UTF8 + _TEXT.encode(),
        _TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + _TEXT.encode("utf-16-be"),
        _TEXT.encode("utf-16-le"),
        _TEXT.encode("utf-16-be"),
        _gzip(_TEXT.encode()),
        _gzip(_LINES[0].encode() + b"\n") + _gzip(_LINES[1].encode()),
        lzma.compress(_TEXT.encode()),
        bz2.compress(_TEXT.encode()),
        _gzip(_TEXT.encode("utf-16")),
        _TEXT.replace("\n", "\r\n").encode(),
        _TEXT.replace("\n", "\r\r\n").encode(),
        b"\0" * 3000 + _TEXT.encode() + b"\0" * 3000,
        _TEXT.replace("[", "\x1b[32m[").replace("] ", "] \x1b[0m").encode(),
    ],
)
def test_the_lines_are_the_same_in_every_encoding(data: bytes) -> None:
    assert _read(data) == _LINES


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "'a.log' is empty"),
        (_gzip(b""), "'a.log' is empty"),
        (b"\0" * 5000, "'a.log' has no text, only NULs"),
        (bytes(range(256)) * 50, "'a.log' is binary, not text"),
        (b"\x7fELF" + bytes(range(1, 200)) * 30, "'a.log' is binary, not text"),
        (b"\xff\xd8\xff" + b"\x93" * 4000, "'a.log' is binary, not text"),
        (_gzip(_TEXT.encode())[:-9], "'a.log' is not valid gzip: its end is missing"),
        (lzma.compress(_TEXT.encode())[:-30], "'a.log' is not valid xz: its end is missing"),
        (b"\x1f\x8b" + b"x" * 100, "'a.log' is not valid gzip"),
        (b"\xfd7zXZ\0" + b"x" * 100, "'a.log' is not valid xz"),
        (b"BZh9" + b"x" * 100, "'a.log' is not valid bzip2"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 100, "'a.log' is compressed by zstd"),
        (b"LPKSHHRH" + b"\0" * 100, "'a.log' is a journal's file"),
    ],
)
def test_what_is_not_text_is_refused_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        _read(data)

    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_program_that_unpacks_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        _read(b"\x28\xb5\x2f\xfd")

    assert "`zstd -dc FILE | vmlab log`" in caught.value.hint


def test_a_file_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "MOST_UNPACKED_BYTES", 10 << 20)

    with pytest.raises(UsageError, match="unpacks to more than"):
        _read(_gzip(b"x\n" * (8 << 20)))


def test_an_xz_file_that_wants_a_gigabyte_of_memory_is_refused() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 30}]
    data = lzma.compress(_TEXT.encode(), filters=filters)

    with pytest.raises(UsageError, match=r"is not valid xz: .*[Mm]emory"):
        _read(data)


def test_of_a_long_line_only_the_beginning_is_kept() -> None:
    lines = _read(b"first\n" + b"y" * (3 * PIECE_BYTES) + b"\nlast\n")

    assert [lines[0], lines[2]] == ["first", "last"]
    assert lines[1] == "y" * LONGEST_LINE_BYTES


def test_a_sized_field_of_a_journals_export_is_read_as_another() -> None:
    (field, value) = _read(b"MESSAGE\n\x07\0\0\0\0\0\0\0one\ntwo\n")

    assert (field, value) == ("MESSAGE=one", "two")


@given(lines=st.lists(st.text(st.characters(codec="ascii", exclude_categories=["C"]), min_size=1, max_size=30)))
def test_no_line_is_lost_wherever_the_parts_end(lines: list[str]) -> None:
    text = "start\n" + "\n".join(lines)

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(7, size or 7))

    found = [line for part in read_lines(Slow(text.encode()), name="a") for line in part]

    assert found == text.rstrip("\n").split("\n")
