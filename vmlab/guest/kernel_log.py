# SPDX-License-Identifier: MIT
"""A guest's kernel log, read from /dev/kmsg."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from vmlab.errors import GuestError, hides_frames
from vmlab.guest.helper import request
from vmlab.guest.root_shell import KERNEL_LOG_FD
from vmlab.guest.transport import Completed
from vmlab.klog.log import LogRecord, parse_kmsg

__tracebackhide__ = hides_frames

# read(2) returns one record, and blocks after the last unless the file is non-blocking. If the next record was
# overwritten, it fails once with EPIPE, so the program is restarted (Documentation/ABI/testing/dev-kmsg). A start takes
# 15 to 30 ms under TCG: the line keeps the log open. Its helper reads the taint and the new records, else one program.
MOST_RECORDS = 50_000
"""Maximum of records kept from earlier reads: a default log buffer of the kernel holds some thousands. A guest that
serves many tests would fill the memory, and each read sorts them."""
_TAINT_VALUE = re.compile(r"\d{1,20}", re.ASCII)
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
    """Kernel log of one guest, as far as it was read; each reader passes its position."""

    def __init__(self, as_root: Callable[[str], Completed], *, position: int | None = None) -> None:
        """Use `as_root` to run commands that must succeed. Start after `position`, a sequence number up to which
        nothing needs to be read, as on a new fork."""
        self._as_root = as_root
        self._start = position
        self.taint = 0
        """Kernel's taint value at the last read; `klog/taint.py` names the bits."""
        self.left_out = 0
        """Number of bytes that were left out of the middle of the last read, because there were too many."""
        self._records: dict[int, LogRecord] = {}
        self._marks: set[str] = set()

    def position(self) -> int:
        """Read the log and return the newest sequence number; -1 when it is empty. Costs one command."""
        self._look(_READ_ON)
        return self.newest

    def after(self, position: int = -1, *, mark: str = "") -> list[LogRecord]:
        """Read the records after a position, oldest first. Costs one command, which reads the whole log if the position
        is older than the records read so far. `mark` is a line to write to the log first."""
        is_known = self._start is not None and position >= self._start
        self._look(_READ_ON if is_known else _READ, mark)
        if not is_known:
            self._start = -1
        return [self._records[number] for number in sorted(self._records) if number > position]

    def write(self, text: str) -> None:
        """Write a mark to the log without reading it; costs a request of the helper."""
        self._as_root(request("write", text, otherwise=self._writing(text)))

    def is_mark(self, record: LogRecord) -> bool:
        """True if a record's text is exactly that of a mark, which has a nonce."""
        return record.text in self._marks

    @property
    def newest(self) -> int:
        """Newest sequence number that was read; -1 when there is none."""
        return max(self._records, default=-1 if self._start is None else self._start)

    def _look(self, command: str, mark: str = "") -> None:
        by_programs = f"{self._writing(mark) if mark else ''}{command}"
        done = self._as_root(request("read", mark, otherwise=by_programs) if command is _READ_ON else by_programs)
        taint, _, text = done.stdout.partition("\n")
        if not _TAINT_VALUE.fullmatch(taint):
            raise GuestError(f"the kernel log cannot be read: its taint value is {taint[:40]!r}")
        self.taint = int(taint)
        self.left_out = done.left_out
        for number in sorted(self._records)[:-MOST_RECORDS]:
            del self._records[number]
        self._records.update((record.sequence, record) for record in parse_kmsg(text))
        if self._start is None and self._records:
            self._start = min(self._records) - 1

    def _writing(self, mark: str) -> str:
        self._marks.add(mark)
        # Writes are rate-limited per open file (printk.c, devkmsg_write); this opens it each time.
        return f"echo {shlex.quote(f'<6>{mark}')} >/dev/kmsg; "
