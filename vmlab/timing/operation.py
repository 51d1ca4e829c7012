# SPDX-License-Identifier: MIT
"""Operations that can be timed in a guest: on a device, or a program."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from vmlab.errors import UsageError, nearest

MOST_PARTS = 8


class Operation(Protocol):
    """An operation, as arguments of the stopwatch's program."""

    @property
    def words(self) -> tuple[str, ...]: ...

    @property
    def parts(self) -> Parts | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An ioctl by which a device reports the cost of its last operation in parts, in nanoseconds.

    The ioctl on the open file fills a structure of `size` bytes; `offsets` gives the offset of each part's 64-bit
    value.
    """

    request: int
    size: int
    offsets: Mapping[str, int]

    def __post_init__(self) -> None:
        outside = [name for name, offset in self.offsets.items() if not 0 <= offset <= self.size - 8]
        if outside or not 1 <= len(self.offsets) <= MOST_PARTS:
            raise UsageError(
                f"parts must be 1 to {MOST_PARTS} offsets within {self.size} bytes, got {dict(self.offsets)!r}"
            )

    @property
    def words(self) -> tuple[str, ...]:
        return ("-p", f"{self.request}:{self.size}:{','.join(map(str, self.offsets.values()))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """`pread` of `size` bytes at `offset`."""

    call: ClassVar[str] = "pread"
    path: str
    offset: int = 0
    size: int
    parts: Parts | None = None

    @property
    def words(self) -> tuple[str, ...]:
        return (self.call, self.path, str(self.offset), str(self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekRead(Read):
    """`lseek` to `offset`, then `read` of `size` bytes: for devices without `pread`."""

    call: ClassVar[str] = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """`pwrite` of `size` bytes at `offset`."""

    path: str
    offset: int = 0
    size: int
    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("pwrite", self.path, str(self.offset), str(self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ioctl:
    """An ioctl with a structure of `size` bytes, all zero."""

    path: str
    request: int
    size: int
    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("ioctl", self.path, str(self.request), str(self.size))


@dataclass(frozen=True, slots=True)
class Command:
    """A program, from fork to exit; its output is discarded, and an exit status other than 0 ends the timing."""

    command: tuple[str, ...]
    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("command", *self.command)


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of two instructions per round, in user space."""

    rounds: int
    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("loop", str(self.rounds))


@dataclass(frozen=True, slots=True)
class SystemCall:
    """The shortest system call, `getppid`."""

    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("syscall",)


@dataclass(frozen=True, slots=True)
class Worded:
    """An operation as arguments of the stopwatch, typed by the user."""

    words: tuple[str, ...]
    parts: None = field(default=None, init=False)


OPERATIONS = {
    "pread": "PATH OFFSET SIZE",
    "read": "PATH OFFSET SIZE",
    "pwrite": "PATH OFFSET SIZE",
    "ioctl": "PATH REQUEST SIZE",
    "command": "PROGRAM WORD...",
    "loop": "ROUNDS",
    "syscall": "",
}
"""The operations with their arguments; `vmlab time --help` lists them."""


def parse_operation(text: str) -> Callable[[int], Operation]:
    """Parse an operation such as `pread /dev/fibonacci {n} 300`, in which `{n}` stands for the size.

    Raises `UsageError` for an invalid operation.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"cannot parse the operation {text!r}: {error}") from None
    name = words[0] if words else ""
    if name not in OPERATIONS:
        raise UsageError(f"unknown operation {name!r}", hint=nearest(name, OPERATIONS, listing="vmlab time --help"))
    expected = OPERATIONS[name].split()
    if len(words) - 1 != len(expected) and not (name == "command" and len(words) > 1):
        raise UsageError(f"{name} takes {OPERATIONS[name] or 'no arguments'}, got {' '.join(words[1:])!r}")
    return lambda n: Worded(tuple(word.replace("{n}", str(n)) for word in words))
