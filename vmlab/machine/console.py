# SPDX-License-Identifier: MIT
"""Reader of the serial console, a file that QEMU writes from power-on.

A guest may print without end. So the file keeps its beginning and its end (`trim`), a read returns at most
`MOST_BYTES`, and each byte is searched for a panic once. Offsets count all bytes that were ever printed.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vmlab.errors import VmlabError
from vmlab.system.excerpt import decoded, lines_after, lines_before, marker
from vmlab.system.process import run

MOST_BYTES = 16 << 20
"""Maximum that is read for one period: a verbose boot prints 100 KB, a test that floods the log some MB."""
MOST_DISK_BYTES = 64 << 20
"""Maximum that the file occupies, but for what is printed in `_TRIM_S`: guests share a disk. A serial port prints
up to 1 MB/s."""
KEPT_BYTES = 16 << 20
"""Size of the beginning, and at least of the end, that trimming keeps."""
_TRIM_S = 5.0
_PUNCH_TIMEOUT_S = 60.0
_PIECE_BYTES = 1 << 20
# Terminal sequences that systemd and firmware print. None continues on another line: it would hide the lines between.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PANIC = re.compile(rb"Kernel panic - not syncing: ?([^\n]{0,1000})")
_LONGEST_PANIC = 1100
TAIL_HEADING = "--- console, last lines ---"
_TAIL_LINES = 25
_TAIL_BYTES = 64 << 10
"""Maximum that is read for the last lines, which may be long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Console text of a period."""

    text: str
    left_out: int = 0
    """Number of bytes that were left out of the middle, where a line says so."""


class Console:
    """Reads a console file, which may not exist yet and may grow meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hole = (0, 0)
        """Range of the file that `trim` has discarded."""
        self._searched = 0
        """Offset up to which no panic was found."""
        self._panic = ""
        """Complete message of a panic."""

    def read(self, start: int, end: int) -> bytes:
        """Bytes between two offsets; fewer if the file is shorter or missing."""
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                return file.read(max(0, end - start))
        except FileNotFoundError:
            return b""

    def size(self) -> int:
        """Number of bytes printed so far."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def part(self, *, after: int = 0, until: int | None = None) -> Part:
        """Console text so far, or between two offsets, without terminal sequences; bytes that are not UTF-8 are shown
        as escapes. Of more than `MOST_BYTES` the first and the last part."""
        end = self.size() if until is None else min(until, self.size())
        has_hole = after < self._hole[1] and self._hole[0] < end
        if end - after <= MOST_BYTES and not has_hole:
            return Part(text=clean(decoded(self.read(after, end))))
        half = MOST_BYTES // 2
        hole = self._hole if has_hole else (after + half, after + half)
        head = lines_before(self.read(after, min(after + half, max(after, hole[0]))))
        tail = lines_after(self.read(max(end - half, hole[1]), end))
        left_out = end - after - len(head) - len(tail)
        cut = marker(left_out, hint="have less printed to the console")
        return Part(text=clean(f"{decoded(head)}{cut}{decoded(tail)}"), left_out=left_out)

    def text(self, *, after: int = 0, until: int | None = None) -> str:
        """Text of a `part`."""
        return self.part(after=after, until=until).text

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines, as evidence below an error."""
        end = self.size()
        last = clean(decoded(self.read(max(0, end - _TAIL_BYTES), end))).rstrip().splitlines()[-lines:]
        return "\n".join([TAIL_HEADING, *last]) if last else "--- the console is empty ---"

    def panic(self) -> str:
        """Message of the kernel's panic; empty when it did not panic. Reads only what was printed since the last
        call."""
        while not self._panic and (start := self._next_data(self._searched)) < (size := self.size()):
            data = self.read(start, start + _PIECE_BYTES)
            match = _PANIC.search(data)
            if match is not None:
                self._searched = start + match.start()
                message = clean(decoded(match[1])).strip()
                if match.end() == len(data):
                    return message  # its end may not be printed yet
                self._panic = message
            # The start of a message may be the last that was printed.
            self._searched = max(start, start + len(data) - _LONGEST_PANIC)
            if start + len(data) >= size:
                break
        return self._panic

    def _next_data(self, start: int) -> int:
        """Offset of the next byte that is not in a hole, which another process may have made."""
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            return os.lseek(file.fileno(), start, os.SEEK_DATA)
        return start

    def trim(self) -> None:
        """Discard the middle of a file that occupies more than `MOST_DISK_BYTES`.

        Offsets in the file must stay those of the text: the middle becomes a hole (fallocate(2),
        FALLOC_FL_PUNCH_HOLE). A file system without holes keeps the file as it is.
        """
        start, end = max(KEPT_BYTES, self._hole[1]), self.size() - KEPT_BYTES
        if self.size() - (self._hole[1] - self._hole[0]) <= MOST_DISK_BYTES:
            return
        self.panic()
        words = ["fallocate", "--punch-hole", "--offset", str(start), "--length", str(end - start), str(self.path)]
        with contextlib.suppress(VmlabError):
            if run(words, timeout_s=_PUNCH_TIMEOUT_S).ok:
                self._hole = (KEPT_BYTES, end)


@contextlib.contextmanager
def trimmed(console: Console, *, interval_s: float = _TRIM_S) -> Iterator[None]:
    """Keep a console's file small while its machine runs, also while nobody reads it."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(interval_s):
            console.trim()

    trimmer = threading.Thread(target=look, name="vmlab-console", daemon=True)
    trimmer.start()
    try:
        yield
    finally:
        done.set()
        trimmer.join()


def clean(text: str) -> str:
    """Console text without terminal sequences, carriage returns and NULs."""
    return _ESCAPE.sub("", text).replace("\r", "").replace("\0", "")
