# SPDX-License-Identifier: MIT
"""The kernel log as records: out of /dev/kmsg, which is exact, or the serial console, which outlives the guest."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from vmlab.errors import hides_frames
from vmlab.guest.line import KERNEL_LOG_FD

__tracebackhide__ = hides_frames

# Each read(2) gives one record and blocks after the last, unless the file is open without blocking. A reader whose next
# record was overwritten gets EPIPE once and goes on at the oldest there is, so a program that ends over it is started
# again (Documentation/ABI/testing/dev-kmsg). Starting one takes a guest under TCG 15 to 30 ms: the line keeps the log
# open, not blocking, and one program reads the taint and what is new of the log.
_TAINT = "/proc/sys/kernel/tainted"
_AGAIN = "case $e in *roken*) ;; *) false;; esac"
_LINES_OWN = f"t={_TAINT}; while e=$(cat $t - <&{KERNEL_LOG_FD} 2>&1 >&7); {_AGAIN}; do t=; done"
_DD = "dd bs=8192 iflag=nonblock status=none"
_OPENED = f"cat {_TAINT}; {{ while e=$({_DD} <&8 2>&1 >&7); {_AGAIN}; do :; done; }} 8</dev/kmsg"
_READ = f"export LC_ALL=C; {{ {_OPENED}; }} 7>&1; true"
_READ_ON = (
    f"export LC_ALL=C; {{ if [ -e /proc/self/fd/{KERNEL_LOG_FD} ]; then {_LINES_OWN}; else {_OPENED}; fi; }} 7>&1; true"
)
_RECORD = re.compile(
    r"^(?P<prefix>\d{1,9}),(?P<sequence>\d{1,20}),(?P<time_us>\d{1,20}),(?P<flags>[^,;]*)(?P<more>[^;]*);(?P<text>.*)$",
    re.ASCII,
)
_CALLER = re.compile(r",caller=([TC]\d+)")
_STAMP = re.compile(r"\[ *(?P<time_s>\d{1,9}\.\d{6})\](?: ?\[ *(?P<caller>[TC]\d+)\])? ?", re.ASCII)
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")
_NEAR = 32
"""How many records back a piece of a line looks for its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One record of the kernel log; `level` is 0 (emergency) to 7 (debug)."""

    sequence: int
    level: int
    time_s: float
    text: str
    facility: int = 0
    """0 is the kernel itself; anything else was written by a program."""
    is_continuation: bool = False
    """Whether it goes on with the line of the record before it."""
    caller: str = ""
    """`T` and a thread, or `C` and a processor; only of kernels with CONFIG_PRINTK_CALLER."""
    dictionary: tuple[tuple[str, str], ...] = ()
    """What drivers add, as names and values: SUBSYSTEM, DEVICE."""

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
        return self.newest

    def after(self, position: int = -1, *, mark: str = "") -> list[LogRecord]:
        """The records after a position, oldest first. One look at the guest, at all of the log when it was not read
        from that far back. `mark` is a line that is written first, and so is among them unless much followed it."""
        is_known = self._start is not None and position >= self._start
        self._look(_READ_ON if is_known else _READ, mark)
        if not is_known:
            self._start = -1
        return [self._records[number] for number in sorted(self._records) if number > position]

    def write(self, text: str) -> None:
        """Write a line to the log; one short command, and no look."""
        self._as_root(_write(text))

    @property
    def newest(self) -> int:
        """The newest sequence number that was read; -1 when there is none."""
        return max(self._records, default=-1 if self._start is None else self._start)

    def _look(self, command: str, mark: str = "") -> None:
        taint, _, text = self._as_root(f"{_write(mark) if mark else ''}{command}").partition("\n")
        self.taint = int(taint)
        self._records.update((record.sequence, record) for record in parse_kmsg(text))
        if self._start is None and self._records:
            self._start = min(self._records) - 1


def _write(text: str) -> str:
    # What programs write is rate-limited per open file (printk.c, devkmsg_write), and this opens it anew.
    return f"echo {shlex.quote(f'<6>{text}')} >/dev/kmsg; "


def lost_before(records: Sequence[LogRecord], *, first: int) -> int:
    """How many records from a sequence number on are missing among those that were read."""
    return records[-1].sequence - first + 1 - len(records) if records else 0


def parse_kmsg(text: str) -> list[LogRecord]:
    """Records from what reads of /dev/kmsg gave. Lines that begin with a space are a record's dictionary; anything
    else that is no record belongs to the text of the one before."""
    records: list[LogRecord] = []
    for line in text.split("\n"):
        match = _RECORD.match(line)
        if match is not None:
            records.append(_record(match))
        elif records and line.startswith(" "):
            key, _, value = _unescape(line[1:]).partition("=")
            records[-1] = replace(records[-1], dictionary=(*records[-1].dictionary, (key, value)))
        elif records and line:
            records[-1] = replace(records[-1], text=f"{records[-1].text}\n{_unescape(line)}")
    return records


def _record(match: re.Match[str]) -> LogRecord:
    prefix = int(match["prefix"])
    caller = _CALLER.search(match["more"]) if match["more"] else None
    return LogRecord(
        sequence=int(match["sequence"]),
        level=prefix & 7,
        time_s=int(match["time_us"]) / 1e6,
        text=_unescape(match["text"]),
        facility=prefix >> 3,
        is_continuation="c" in match["flags"],
        caller=caller[1] if caller else "",
    )


def join_continued(records: Sequence[LogRecord]) -> list[LogRecord]:
    """The records with each line that came in pieces as one: a piece belongs to its own writer's last line where the
    kernel says who wrote, else to the line before."""
    if not any(record.is_continuation for record in records):
        return list(records)
    joined: list[LogRecord] = []
    for record in records:
        near = range(len(joined) - 1, max(-1, len(joined) - 1 - _NEAR), -1) if record.is_continuation else ()
        place = next((i for i in near if joined[i].caller == record.caller), None)
        if place is None:
            joined.append(record)
        else:
            joined[place] = replace(joined[place], text=joined[place].text + record.text)
    return joined


def parse_console(text: str) -> list[LogRecord]:
    """Records from a serial console. It has neither levels nor sequence numbers: these count its records here. Lines
    without a time stamp are not the kernel's; what stands before one on its line is not either. A stamp in the middle
    of a record that is no earlier begins another one, whose line the console did not begin anew."""
    records: list[LogRecord] = []
    for line in text.split("\n"):
        match = _STAMP.search(line)
        while match is not None:
            time_s = float(match["time_s"])
            following = _later_stamp(line, match.end(), time_s)
            said = line[match.end() : following.start() if following is not None else len(line)].rstrip()
            caller = match["caller"] or ""
            records.append(LogRecord(sequence=len(records), level=6, time_s=time_s, text=said, caller=caller))
            match = following
    return records


def _later_stamp(line: str, start: int, time_s: float) -> re.Match[str] | None:
    if line.find("[", start) < 0:
        return None
    return next((match for match in _STAMP.finditer(line, start) if float(match["time_s"]) >= time_s), None)


def _unescape(text: str) -> str:
    if "\\x" not in text:
        return text
    # Byte by byte, so that a character of several bytes is several escapes.
    return _ESCAPED.sub(
        lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", errors="backslashreplace"), text
    )
