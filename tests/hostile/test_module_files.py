# SPDX-License-Identifier: MIT
"""A kernel file, a .ko or an output of a build that takes the lab's time and memory."""

from __future__ import annotations

import io
import json
import lzma
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hostile.work import MOST_RATIO, growth, peak_memory
from vmlab.errors import AssetError, BuildError, GuestError
from vmlab.image import kernel_file
from vmlab.image.kernel_file import arm64_image
from vmlab.module import confined_symbols
from vmlab.module.confined_symbols import ConfinedSymbols
from vmlab.module.elf_limits import require_sane
from vmlab.module.inspect import inspect_module
from vmlab.reason.build import build_reason
from vmlab.timing.stopwatch import parse

_PROGBITS, _SYMTAB, _STRTAB, _NOBITS = 1, 2, 3, 8
_COMPRESSED = 0x800


@dataclass(frozen=True, kw_only=True)
class _Section:
    name: str
    content: bytes = b""
    kind: int = _PROGBITS
    flags: int = 0
    size: int | None = None
    link: int = 0


def _elf(*sections: _Section, count: int | None = None, row_bytes: int = 64, first_size: int = 0) -> bytes:
    """An ELF file for x86 with these sections, and with numbers in its header that may be wrong."""
    every = [_Section(name="", kind=0, size=first_size), *sections, _Section(name=".shstrtab", kind=_STRTAB)]
    names = b"".join(section.name.encode() + b"\0" for section in every)
    every[-1] = _Section(name=".shstrtab", kind=_STRTAB, content=names)
    body, rows = io.BytesIO(), []
    for section in every:
        size = len(section.content) if section.size is None else section.size
        at = names.find(section.name.encode() + b"\0")
        rows.append((at, section.kind, section.flags, 0, 64 + body.tell(), size, section.link, 0, 1, 24))
        body.write(section.content)
    table = b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)
    number = len(rows) if count is None else count
    header = struct.pack(
        "<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64 + body.tell(), 0, 64, 0, 0, row_bytes, number, len(rows) - 1
    )
    return b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + header + body.getvalue() + table


_MODINFO = _Section(name=".modinfo", content=b"name=fib\0vermagic=6.1.0 SMP\0license=GPL\0")


def _written(directory: Path, data: bytes) -> Path:
    path = directory / "fib.ko"
    path.write_bytes(data)
    return path


def test_the_honest_file_is_read(tmp_path: Path) -> None:
    bss = _Section(name=".bss", kind=_NOBITS, size=1 << 30)
    info = inspect_module(_written(tmp_path, _elf(_MODINFO, bss)))
    assert (info.name, info.release) == ("fib", "6.1.0")


def _bomb(size: int, *, told: int | None = None) -> bytes:
    packed = struct.pack("<IIQQ", 1, 0, size if told is None else told, 1) + zlib.compress(bytes(size), 9)
    return _elf(_Section(name=".modinfo", content=packed, flags=_COMPRESSED))


_FILES: dict[str, Callable[[], bytes]] = {
    "modinfo-without-content-of-64-gib": lambda: _elf(_Section(name=".modinfo", kind=_NOBITS, size=64 << 30)),
    "modinfo-without-content-of-64-mib": lambda: _elf(_Section(name=".modinfo", kind=_NOBITS, size=64 << 20)),
    "modinfo-that-unpacks-to-256-mib": lambda: _bomb(256 << 20),
    "modinfo-that-says-it-unpacks-to-2-eib": lambda: _bomb(1 << 20, told=2 << 60),
    "a-size-beyond-the-file": lambda: _elf(_Section(name=".modinfo", content=b"a=b", size=1 << 62)),
    "headers-of-size-zero": lambda: _elf(_MODINFO, row_bytes=0, count=65535),
    "2-to-the-60-headers": lambda: _elf(_MODINFO, count=0, first_size=1 << 60),
    "60000-sections-with-one-long-name": lambda: _elf(*[_Section(name="a" * 30_000)] * 20, count=60_000),
    "a-name-of-16-mib": lambda: _elf(_MODINFO, _Section(name=".strtab", kind=_STRTAB, content=b"a" * (16 << 20))),
    "a-compressed-section-without-content": lambda: _elf(
        _Section(name=".modinfo", kind=_NOBITS, flags=_COMPRESSED, size=64)
    ),
    "damaged-compression": lambda: _elf(
        _Section(name=".modinfo", flags=_COMPRESSED, content=struct.pack("<IIQQ", 1, 0, 9, 1) + b"nonsense")
    ),
    "a-truncated-header": lambda: _elf(_MODINFO)[:40],
    "truncated-section-headers": lambda: _elf(_MODINFO)[:-10],
}  # fmt: skip


@pytest.mark.parametrize("name", _FILES)
def test_a_module_that_lies_is_one_clear_error(tmp_path: Path, name: str) -> None:
    path = _written(tmp_path, _FILES[name]())

    with peak_memory() as peak_mib:
        with pytest.raises(BuildError) as caught:
            inspect_module(path)
        assert peak_mib() < 60

    assert len(str(caught.value)) < 300


def test_the_time_to_check_a_file_grows_as_its_size() -> None:
    def check(size: int) -> None:
        names = _Section(name=".strtab", kind=_STRTAB, content=b"a\0" * size)
        require_sane(_elf(_MODINFO, names, *[_Section(name="x", kind=_STRTAB, content=b"\0")] * (size // 100)))

    assert growth(check, 100_000) < MOST_RATIO


def test_a_module_without_an_end_is_not_read(tmp_path: Path) -> None:
    sparse = _written(tmp_path, _elf(_MODINFO))
    with sparse.open("ab") as file:
        file.truncate(64 << 30)

    with peak_memory() as peak_mib:
        for path in (sparse, Path("/dev/zero")):
            with pytest.raises(BuildError):
                inspect_module(path)
        assert peak_mib() < 20


# --- debug information


def _debug(info: bytes, abbreviations: bytes, lines: bytes = b"") -> bytes:
    return _elf(
        _Section(name=".debug_info", content=info),
        _Section(name=".debug_abbrev", content=abbreviations),
        _Section(name=".debug_line", content=lines),
        _Section(name=".text", content=b"\x90" * 64, flags=6),
        _Section(
            name=".symtab",
            kind=_SYMTAB,
            content=bytes(24) + struct.pack("<IBBHQQ", 1, 0x12, 0, 4, 0, 64),
            link=6,
        ),
        _Section(name=".strtab", kind=_STRTAB, content=b"\0fib_read\0"),
    )


def _lines_of_endless_directories() -> bytes:
    """A line program of DWARF 5 whose directories have no fields, so that any number of them takes no bytes."""
    counts = b"\xff" * 8 + b"\x7f"  # ULEB128: 2^63 - 1
    rest = bytes([1, 1, 1, 0xFB, 14, 13, *[0] * 12]) + b"\0" + counts + b"\0" + counts
    body = struct.pack("<HBBI", 5, 8, 0, len(rest)) + rest
    return struct.pack("<I", len(body)) + body


def _unit(attributes: bytes, version: int = 4) -> bytes:
    body = struct.pack("<HIB", version, 0, 8) + attributes
    return struct.pack("<I", len(body)) + body


# One entry, a unit without children, with low_pc (address), high_pc (address) and stmt_list (offset).
_UNIT = bytes([1, 0x11, 0, 0x11, 0x01, 0x12, 0x01, 0x10, 0x17, 0, 0, 0])
_TEXT_AT = 4 << 40
_ENTRY = b"\x01" + struct.pack("<QQI", _TEXT_AT, _TEXT_AT + 64, 0)


@pytest.mark.parametrize("name", ["endless-directories", "a-number-without-an-end"])
def test_debug_information_without_an_end_ends_with_the_readers_limits(tmp_path: Path, name: str) -> None:
    data = {
        "endless-directories": _debug(_unit(_ENTRY), _UNIT, _lines_of_endless_directories()),
        "a-number-without-an-end": _debug(_unit(_ENTRY + b"\xff" * 300_000), _UNIT),
    }[name]
    path = _written(tmp_path, data)

    assert ConfinedSymbols(path, cpu_s=2).lines_of("fib_read", 8) == ()


def test_answers_of_the_reader_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Done:
        ok = True
        output = json.dumps([[{"file": ["not text"], "line": 1}]])

    monkeypatch.setattr(confined_symbols, "run", lambda *_, **__: Done())
    assert ConfinedSymbols(_written(tmp_path, b"any")).lines_of("fib_read", 8) == ()


def test_a_report_with_a_million_frames_asks_for_some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Done:
        ok = True
        output = "[]"

    def run(*_: object, input_text: str, **__: object) -> Done:
        asked.append(input_text)
        return Done()

    monkeypatch.setattr(confined_symbols, "run", run)
    ConfinedSymbols(_written(tmp_path, b"other")).learn(("f", number) for number in range(1_000_000))
    assert len(json.loads(asked[0])) == 2000


# --- kernels


def _zboot(packed: bytes, name: bytes) -> bytes:
    header = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed)) + bytes(8) + name
    return header.ljust(64, b"\0") + packed


def _zeros(packer: zlib._Compress | lzma.LZMACompressor) -> bytes:
    """256 MiB of zeros, packed."""
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(256)), packer.flush()])


@pytest.mark.parametrize("how", ["gzip", "zboot-gzip", "zboot-xz"])
def test_a_kernel_that_unpacks_without_an_end_is_refused(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_file, "MOST_BYTES", 1 << 20)
    gzip = _zeros(zlib.compressobj(wbits=16 + zlib.MAX_WBITS)) if "gzip" in how else b""
    data = {
        "gzip": lambda: gzip,
        "zboot-gzip": lambda: _zboot(gzip, b"gzip"),
        "zboot-xz": lambda: _zboot(_zeros(lzma.LZMACompressor(preset=0)), b"xzkern"),
    }[how]()

    with peak_memory() as peak_mib:
        with pytest.raises(AssetError, match="the kernel unpacks to more, and must have at most 1048576 bytes"):
            arm64_image(data)
        assert peak_mib() < 20


def test_a_kernel_whose_dictionary_takes_all_memory_is_refused() -> None:
    filters = [
        {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30, "mode": lzma.MODE_FAST, "mf": lzma.MF_HC3, "nice_len": 8}
    ]
    small = lzma.compress(b"x", filters=filters)
    with pytest.raises(AssetError, match="cannot be unpacked: Memory usage limit"):
        arm64_image(_zboot(small, b"xzkern"))


# --- figures and words


@pytest.mark.parametrize(
    "lines",
    [
        ["sample " + "9" * 4000 + " 0", "null 0"],
        ["sample " + "9" * 5000 + " 0", "null 0"],
        ["sample 1 0", "null " + "9" * 400],
        ["sample 1 0", "null 0", "part " + "9" * 400],
        ["sample 1 0", "null 0", "fact steal_ticks many"],
        ["sample 1 0", "null 0", "fact steal_ticks " + "9" * 400],
        ["sample 1 0", "null 0", *[f"fact {number} x" for number in range(100_000)]],
        ["sample 1 0", "null 0", "x" * 10_000_000],
    ],
    ids=["4000-digits", "5000-digits", "null", "part", "word", "fact", "facts", "line"],
)
def test_a_figure_that_is_none_is_one_clear_error(lines: list[str]) -> None:
    with pytest.raises(GuestError, match="malformed") as caught:
        parse("\n".join([*lines, "end"]))
    assert len(str(caught.value)) < 2000


_OUTPUTS = {
    "parentheses-in-a-linkers-line": "a:(" * 600 + "\n",
    "targets-that-failed": "recipe for target " * 100 + "\n",
    "symbols-that-are-undefined": '"a" [' * 380 + "\n",
    "slashes": "/-" * 900 + "ld\n",
    "directories": "make[1]: Entering directory '" + "a" * 1000 + "'\n",
    "messages-of-make": "make[" * 400 + "\n",
}


@pytest.mark.parametrize("name", _OUTPUTS)
def test_the_time_for_the_output_of_a_build_grows_as_its_size(name: str) -> None:
    def read(size: int) -> object:
        return build_reason(_OUTPUTS[name] * size, directory="/build", files=["fib.c"])

    assert growth(read, 20) < MOST_RATIO


@pytest.mark.parametrize("name", _OUTPUTS)
def test_the_time_for_a_line_of_a_build_grows_as_its_length(name: str) -> None:
    def read(length: int) -> object:
        line = f"{_OUTPUTS[name][:length].rstrip()}\n"
        return build_reason(line * 60, directory="/build", files=["fib.c"])

    assert growth(read, 450) < MOST_RATIO
