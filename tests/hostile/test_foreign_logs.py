# SPDX-License-Identifier: MIT
"""A log from another machine that takes the time or memory of `vmlab log`, or is no log at all."""

from __future__ import annotations

import gzip
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from unit.klog.test_logs import DIRECTORY

from hostile.work import MOST_RATIO, growth, peak_memory
from vmlab.commands.main import main
from vmlab.klog.formats.reader import LogReader
from vmlab.klog.formats.source import read_lines
from vmlab.klog.splat import Search

_OOPS = "BUG: KASAN: slab-out-of-bounds in fib_read+0x1b/0x40 [fibdrv]"
_MOST_MIB = 100


class _Endless(io.RawIOBase):
    """A stream that repeats a text until it has given a number of bytes."""

    def __init__(self, text: str, size: int) -> None:
        self._piece = text.encode() * (1 + (1 << 20) // len(text))
        self._left = size

    def read(self, size: int | None = -1, /) -> bytes:
        piece = self._piece[: min(self._left, len(self._piece), size or 0)]
        self._left -= len(piece)
        return piece


def _explain(stream: io.RawIOBase | io.BytesIO) -> None:
    reader = LogReader(read_lines(stream, name="a"))  # type: ignore[arg-type]
    search = Search(most_equal=20)
    for records in reader.records():
        for _ in search.feed(records):
            pass
    for _ in search.feed([], is_last=True):
        pass


_TEXTS = {
    "records": "[    1.000000] gauge: speed is 5\n",
    "reports": f"[    1.000000] {_OOPS}\n",
    "traces": "[    1.000000] WARNING: a\n[    1.000000] Call Trace:\n[    1.000000]  a+0x1/0x2\n",
    "lines-of-programs": "Dec  1 10:23:02 mill a[1]: b\n",
    "lines-of-nothing": "nothing\n",
    "empty-lines": "\n",
    "quotes": "> > > > > > > > > > > x\n",
    "returns": "a\rb\rc\r[    1.000000] d\n",
    "stamps-in-a-line": "[    1.000000] a[    1.000000] b[    1.000000] c\n",
    "one-line": "x",
    "parts-of-a-dump": "Panic#1 Part1\n",
    "fields": '{"_TRANSPORT":"kernel","MESSAGE":"x","PRIORITY":"1"}\n',
    "open-fields": "__CURSOR=x\n__CURSOR=y\nMESSAGE=z\n",
    "fragments": "6,1,1,-,ncfrag=5/9;x\n",
    "continuations": "6,1,1,c;x\n",
    "soft-breaks": "Content-Transfer-Encoding: quoted-printable\nx=\n",
    "modules": "Modules linked in: a\nb c d\n",
    "wrapped": f"[    1.000000] {'x ' * 29}\nyyyyyyyyyyyyyyyyyy\n",
}


_WORST = ("empty-lines", "returns", "stamps-in-a-line", "parts-of-a-dump", "open-fields", "continuations")


@pytest.mark.parametrize("name", _WORST)
def test_a_log_without_end_takes_bounded_memory(name: str) -> None:
    with peak_memory() as peak_mib:
        _explain(_Endless(_TEXTS[name], 1 << 20))

    assert peak_mib() < _MOST_MIB


@pytest.mark.parametrize("name", _TEXTS)
def test_the_time_for_a_log_grows_as_its_size(name: str) -> None:
    assert growth(lambda size: _explain(_Endless(_TEXTS[name], size)), 100_000) < MOST_RATIO


def test_a_small_file_that_unpacks_to_much_more_takes_bounded_memory() -> None:
    data = gzip.compress(b"x" * (50 << 20))

    with peak_memory() as peak_mib:
        _explain(io.BytesIO(data))

    assert peak_mib() < _MOST_MIB


def _cut(data: bytes, dice: random.Random) -> bytes:
    return data[dice.randrange(len(data)) :][: dice.randrange(1, 4000)]


def _flip(data: bytes, dice: random.Random) -> bytes:
    flipped = bytearray(data)
    for _ in range(40):
        flipped[dice.randrange(len(flipped))] = dice.randrange(256)
    return bytes(flipped)


def _shuffle(data: bytes, dice: random.Random) -> bytes:
    lines = data.split(b"\n")
    dice.shuffle(lines)
    return b"\n".join(lines)


def _mix(data: bytes, dice: random.Random) -> bytes:
    other = dice.choice(sorted(DIRECTORY.iterdir())).read_bytes()
    return b"\n".join(line for pair in zip(data.split(b"\n"), other.split(b"\n"), strict=False) for line in pair)


def _files() -> Iterator[tuple[str, Path]]:
    return ((path.stem, path) for path in sorted(DIRECTORY.iterdir()))


@pytest.mark.parametrize("damage", [_cut, _flip, _shuffle, _mix])
@pytest.mark.parametrize("path", [path for _, path in _files()], ids=[name for name, _ in _files()])
def test_a_damaged_log_is_a_verdict_or_one_line(
    path: Path,
    damage: Callable[[bytes, random.Random], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    dice = random.Random(f"{path.stem} {damage.__name__}")
    for _ in range(5):
        (tmp_path / "log").write_bytes(damage(path.read_bytes(), dice))

        status = main(["log", "log", "--json"])

        shown = capsys.readouterr()
        assert status in (0, 1, 2)
        assert bool(shown.out) is (status < 2)
        assert shown.err.count("\n") == (status == 2)
