# SPDX-License-Identifier: MIT
"""The kernel log as records, read from /dev/kmsg over SSH."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vmlab.guest.guest import Guest

# Each read(2) gives one record and blocks after the last, so dd reads without waiting, a record at a time
# (Documentation/ABI/testing/dev-kmsg).
_READ = "dd if=/dev/kmsg bs=8192 iflag=nonblock status=none 2>/dev/null; true"
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


def read_log(guest: Guest, *, after: int = -1) -> list[LogRecord]:
    """The records with a sequence number above `after`, oldest first; one SSH command as root."""
    return [record for record in parse_kmsg(guest.as_root(_READ)) if record.sequence > after]


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


def last_sequence(records: Sequence[LogRecord]) -> int:
    """The sequence number to continue after; -1 when there is no record."""
    return records[-1].sequence if records else -1


def _unescape(text: str) -> str:
    # Byte by byte, so that a character of several bytes is several escapes.
    return _ESCAPED.sub(
        lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", errors="backslashreplace"), text
    )
