# SPDX-License-Identifier: MIT
"""The file of the map: rows come back as written, and a damaged or hostile file is one clear error."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from unit.api.conftest import LINES, ROWS, row
from vmlab.api.data import MAP, own_history
from vmlab.api.map_file import BLOCK_BYTES, MAGIC, ApiMap, map_bytes, read_map
from vmlab.api.rows import Kind, decode, encode
from vmlab.catalogue.matrix import catalogue_directory
from vmlab.errors import AssetError

_LARGEST_MB = 4


def test_rows_come_back_sorted_as_they_were_written() -> None:
    read = ApiMap(map_bytes(LINES, ROWS))

    assert read.lines == LINES
    assert list(read.all_rows()) == sorted(ROWS, key=lambda one: (one.name, one.kind))


def test_the_rows_of_a_name_are_found_in_any_block() -> None:
    many = [row(f"name{number:06}", Kind.EXPORT, "gpl - vmlinux" + "x" * 60, *(None,) * 4) for number in range(9000)]
    read = ApiMap(map_bytes(LINES, many))

    assert len(map_bytes(LINES, many)) < len(many) * 60 < 4 * BLOCK_BYTES
    for name in ("name000000", "name004321", "name008999"):
        assert read.rows(name)[Kind.EXPORT].name == name
    assert read.rows("name") == {}
    assert read.rows("zzz") == {}


def test_a_name_is_not_found_in_the_middle_of_another() -> None:
    read = ApiMap(map_bytes(LINES, [row("long_name", Kind.TYPE, *("struct",) * 5)]))

    assert [read.rows(name) for name in ("name", "long_nam", "long_name\tt", "\n", "")] == [{}] * 5


def test_the_rows_below_a_directory_are_all_found() -> None:
    read = ApiMap(map_bytes(LINES, ROWS))

    assert [one.name for one in read.rows_below("linux/")] == ["linux/a.h", "linux/moved.h"]


def test_equal_values_share_one_mask() -> None:
    one = row("f", Kind.PROTOTYPE, "int (void)", "int (void)", None, "void (void)", "int (void)")

    assert encode(one) == "f\tp\t13\tint (void)\t8\tvoid (void)"
    assert decode(encode(one), 5) == one


@pytest.mark.parametrize("text", ["", "f", "f\tp", "f\tp\t1", "f\t?\t1\tx", "f\tp\t0\tx", "f\tp\t20\tx", "f\tp\t-1\tx"])
def test_a_damaged_row_is_refused(text: str) -> None:
    with pytest.raises(AssetError, match="damaged"):
        decode(text, 5)


def _with_header(**changed: object) -> bytes:
    data = map_bytes(LINES, ROWS)
    start = data.index(b"\n") + 1
    length = int(data[len(MAGIC) : start - 1])
    header = json.loads(data[start : start + length]) | changed
    text = json.dumps(header).encode()
    return MAGIC + str(len(text)).encode() + b"\n" + text + data[start + length :]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"vmlab-api-map 1 99999999999\n",
        b"vmlab-api-map 1 5\n[[[[[",
        MAGIC + b"-1\n",
        map_bytes(LINES, ROWS)[:-1],
        map_bytes(LINES, ROWS) + b"x",
        _with_header(lines=[]),
        _with_header(unknown=1),
        _with_header(blocks=[{"first": "a", "bytes": -1, "unpacked_bytes": 1}]),
        _with_header(blocks=[{"first": "a", "bytes": 1 << 40, "unpacked_bytes": 1}]),
    ],
    ids=["empty", "long header", "no JSON", "negative", "cut", "longer", "no lines", "key", "negative block", "huge"],
)
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(AssetError, match="damaged"):
        ApiMap(data)


def test_a_block_that_unpacks_to_more_than_it_says_is_refused() -> None:
    bomb = lzma.compress(b"a\tt\t1\tstruct\n" * 2_000_000, format=lzma.FORMAT_ALONE)
    blocks = [{"first": "a", "bytes": len(bomb), "unpacked_bytes": 13}]
    header = json.dumps({"lines": [], "blocks": blocks})
    lines = json.dumps([{"line": "6.1", "version": "1", "has_headers": True, "has_modules": True}])
    text = header.replace('"lines": []', f'"lines": {lines}').encode()
    read = ApiMap(MAGIC + str(len(text)).encode() + b"\n" + text + bomb)

    with pytest.raises(AssetError, match="damaged"):
        read.rows("a")


def test_a_missing_file_is_one_line_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(AssetError, match=r"cannot read the map.*none\.map"):
        read_map(tmp_path / "none.map")


def test_the_maps_own_file_is_small_and_has_the_default_lines() -> None:
    assert (catalogue_directory() / MAP).stat().st_size < _LARGEST_MB * 10**6
    assert {"5.10", "6.1", "6.12", "7.3"} <= {line.line for line in own_history().lines if line.has_headers}
