# SPDX-License-Identifier: MIT
"""Expected result of each edge case of `fibprobe errno`, by fibdrv's contract. All but one start at position 5."""

from __future__ import annotations

from .probe import Edge

START = 5
END = 10_000_001
"""SEEK_END with the default max_n."""


def _stays(result: int | str) -> Edge:
    return Edge(str(result), str(START), str(START))


def _moves(result: int, after: int) -> Edge:
    return Edge(str(result), str(START), str(after))


_READS = {
    # F(5) is "5\n": two bytes, whatever the buffer size.
    "read": _moves(2, 6),
    "read-nonblock": _moves(2, 6),
    "read-count-exact": _moves(2, 6),
    "read-count-2g": _moves(2, 6),
    "read-count-0": _stays(0),
    "read-count-0-unmapped": _stays(0),
    "read-count-1": _stays("ERANGE"),
    "read-count-ssize-max": _stays("EFAULT"),
    "read-count-size-max": _stays("EFAULT"),
    # The record fits into the mapped half.
    "read-half-mapped": _moves(2, 6),
    # F(100,000) does not fit, and part of it has been copied when the fault occurs.
    "read-large-half-mapped": Edge("EFAULT", "100000", "100000"),
    "read-unmapped": _stays("EFAULT"),
    "read-readonly": _stays("EFAULT"),
    "read-kernel": _stays("EFAULT"),
}
_PREADS = {
    # F(7) is "13\n".
    "pread": _stays(3),
    "pread-count-0": _stays(0),
    "pread-count-1": _stays("ERANGE"),
    "pread-unmapped": _stays("EFAULT"),
    "pread-readonly": _stays("EFAULT"),
    "pread-kernel": _stays("EFAULT"),
    "pread-half-mapped": _stays("EFAULT"),
    # F(100,000) has 20,899 digits.
    "pread-large-short": _stays("ERANGE"),
    "pread-large-exact": _stays(20_900),
    "pread-negative": _stays("EINVAL"),
    "pread-end": _stays(0),
    "pread-past-end": _stays(0),
    "pread-2^31+7": _stays(0),
    "pread-2^32+7": _stays(0),
    "pread-2^61-2": _stays(0),
    # Together with the count it exceeds 2^63, which is fine: the driver takes it for an index past the end.
    "pread-2^63-1": _stays(0),
    "pread-2^63-1-count-0": _stays(0),
}
_SEEKS = {
    "lseek-set-0": _moves(0, 0),
    "lseek-set-end": _moves(END, END),
    "lseek-set-past-end": _stays("EINVAL"),
    "lseek-set-negative": _stays("EINVAL"),
    "lseek-set-2^31+7": _stays("EINVAL"),
    "lseek-set-2^32+7": _stays("EINVAL"),
    "lseek-set-2^61-2": _stays("EINVAL"),
    "lseek-set-2^63-1": _stays("EINVAL"),
    "lseek-cur-0": _stays(START),
    "lseek-cur-1": _moves(START + 1, START + 1),
    "lseek-cur-back": _moves(0, 0),
    "lseek-cur-below-0": _stays("EINVAL"),
    "lseek-cur-2^31+7": _stays("EINVAL"),
    "lseek-cur-2^32+7": _stays("EINVAL"),
    "lseek-cur-back-2^32": _stays("EINVAL"),
    "lseek-cur-2^63-1": _stays("EINVAL"),
    "lseek-end-0": _moves(END, END),
    "lseek-end-back": _moves(END - 1, END - 1),
    "lseek-end-past": _stays("EINVAL"),
    "lseek-end-back-2^32": _stays("EINVAL"),
    "lseek-end-2^63-1": _stays("EINVAL"),
    "lseek-data": _stays("EINVAL"),
    "lseek-hole": _stays("EINVAL"),
    "lseek-whence-99": _stays("EINVAL"),
}
_IOCTLS = {
    "ioctl-unknown": _stays("ENOTTY"),
    "ioctl-other-magic": _stays("ENOTTY"),
    "ioctl-other-size": _stays("ENOTTY"),
    "ioctl-size-null": _stays("EFAULT"),
    "ioctl-format-null": _stays("EFAULT"),
    "ioctl-stats-null": _stays("EFAULT"),
    "ioctl-format-bad": _stays("EINVAL"),
    "ioctl-format-flags": _stays("EINVAL"),
    "ioctl-size-flags": _stays("EINVAL"),
    "ioctl-size-reserved": _stays("EINVAL"),
    "ioctl-size-2^31+7": _stays("EINVAL"),
    "ioctl-size-2^32+7": _stays("EINVAL"),
    "ioctl-size-2^61-2": _stays("EINVAL"),
    "ioctl-size-2^63": _stays("EINVAL"),
    "ioctl-size-2^63+7": _stays("EINVAL"),
    "ioctl-size-2^64-1": _stays("EINVAL"),
    # POLLIN | POLLOUT.
    "poll": _stays(1 | 4),
}
_WRITES_BY_ROOT = {
    "write-readonly-file": _stays("EBADF"),
    "write": _stays(9),
    "write-count-0": _stays(0),
    "write-unmapped": _stays(9),
    "open-write": _stays(0),
}
_REFUSED = Edge("open:EACCES", "-", "-")
_WRITES_BY_USER = dict.fromkeys(_WRITES_BY_ROOT, _REFUSED) | {"write-readonly-file": _stays("EBADF")}

_ALIKE = _READS | _PREADS | _SEEKS | _IOCTLS
BY_USER = _ALIKE | _WRITES_BY_USER
BY_ROOT = _ALIKE | _WRITES_BY_ROOT


def wrong_edges(given: dict[str, Edge], expected: dict[str, Edge]) -> list[str]:
    """One sentence for each case that ended differently, is unknown, or was not tried."""
    wrong = []
    for name in sorted(given.keys() | expected.keys()):
        got, wanted = given.get(name), expected.get(name)
        if got != wanted:
            wrong.append(f"{name}: {_say(got)}, and has to be {_say(wanted)}")
    return wrong


def _say(edge: Edge | None) -> str:
    return f"{edge.result} with the position {edge.before} then {edge.after}" if edge else "unknown"
