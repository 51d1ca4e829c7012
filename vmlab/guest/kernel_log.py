# SPDX-License-Identifier: MIT
"""One guest's kernel log, read from its /dev/kmsg."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from vmlab.errors import hides_frames
from vmlab.guest.root_shell import KERNEL_LOG_FD
from vmlab.klog.log import LogRecord, parse_kmsg

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
