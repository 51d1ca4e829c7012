# SPDX-License-Identifier: MIT
"""The kernel log as records, read from /dev/kmsg."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from vmlab.guest.line import KERNEL_LOG_FD

# Each read(2) gives one record and blocks after the last, so dd reads without waiting, a record at a time
# (Documentation/ABI/testing/dev-kmsg). Where the shell has the log open already, only what is new comes.
_READ = "dd if=/dev/kmsg bs=8192 iflag=nonblock status=none 2>/dev/null; true"
_READ_ON = f"if [ -e /proc/self/fd/{KERNEL_LOG_FD} ]; then dd bs=8192 iflag=nonblock status=none <&{KERNEL_LOG_FD} "
_READ_ON += f"2>/dev/null; else {_READ}; fi; true"
_TAINT = "read -r taint </proc/sys/kernel/tainted; echo $taint"
_RECORD = re.compile(r"^(?P<prefix>\d+),(?P<sequence>\d+),(?P<time_us>\d+),[^;]*;(?P<text>.*)$")
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One record of the kernel log; `level` is 0 (emergency) to 7 (debug)."""

    sequence: int
    level: int
    time_s: float
    text: str

    def __str__(self) -> str:
        return f"[{self.time_s:12.6f}] {self.text}"


class KernelLog:
    """What one guest's kernel has logged, as far as it was read; every reader looks from a position of its own."""

    def __init__(self, as_root: Callable[[str], str], *, position: int | None = None) -> None:
        """`position` is the last sequence number before which nothing needs to be read, as on a fresh fork."""
        self._as_root = as_root
        self._start = position
        self.taint = 0
        """The kernel's taint value at the last look; `guest/taint.py` has words for it."""
        self._records: dict[int, LogRecord] = {}

    def position(self) -> int:
        """The sequence number of the newest record there is; -1 when there is none. One look at the guest."""
        self._look(_READ_ON)
        return max(self._records, default=-1 if self._start is None else self._start)

    def after(self, position: int = -1) -> list[LogRecord]:
        """The records after a position, oldest first. One look at the guest, at all of the log when it was not read
        from that far back."""
        is_known = self._start is not None and position >= self._start
        self._look(_READ_ON if is_known else _READ)
        if not is_known:
            self._start = -1
        return [self._records[number] for number in sorted(self._records) if number > position]

    def _look(self, command: str) -> None:
        taint, _, text = self._as_root(f"{_TAINT}; {command}").partition("\n")
        self.taint = int(taint)
        self._records.update((record.sequence, record) for record in parse_kmsg(text))
        if self._start is None and self._records:
            self._start = min(self._records) - 1


def parse_kmsg(text: str) -> list[LogRecord]:
    """Records from what reads of /dev/kmsg gave. Lines that begin with a space are a record's dictionary and are
    left out; anything else that is no record belongs to the text of the one before."""
    records: list[LogRecord] = []
    for line in text.splitlines():
        match = _RECORD.match(line)
        if match is not None:
            records.append(
                LogRecord(
                    sequence=int(match["sequence"]),
                    level=int(match["prefix"]) & 7,
                    time_s=int(match["time_us"]) / 1e6,
                    text=_unescape(match["text"]),
                )
            )
        elif records and not line.startswith(" "):
            last = records.pop()
            records.append(
                LogRecord(
                    sequence=last.sequence, level=last.level, time_s=last.time_s, text=f"{last.text}\n{_unescape(line)}"
                )
            )
    return records


def _unescape(text: str) -> str:
    # Byte by byte, so that a character of several bytes is several escapes.
    return _ESCAPED.sub(
        lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", errors="backslashreplace"), text
    )
