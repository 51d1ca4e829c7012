# SPDX-License-Identifier: MIT
"""What can be timed in a guest: an operation on a device, or a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from vmlab.errors import UsageError

MOST_PARTS = 8


class Operation(Protocol):
    """One operation, in the words that the stopwatch's program takes."""

    @property
    def words(self) -> tuple[str, ...]: ...

    @property
    def parts(self) -> Parts | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """How a device tells what its last operation cost, part by part, in nanoseconds.

    An ioctl on the open file fills a structure of `size` bytes; `offsets` says where in it the 64-bit value of each
    part lies.
    """

    request: int
    size: int
    offsets: Mapping[str, int]

    def __post_init__(self) -> None:
        outside = [name for name, offset in self.offsets.items() if not 0 <= offset <= self.size - 8]
        if outside or not 1 <= len(self.offsets) <= MOST_PARTS:
            raise UsageError(
                f"parts of an operation lie outside their {self.size} bytes, or are not 1 to {MOST_PARTS}: {outside}"
            )

    @property
    def words(self) -> tuple[str, ...]:
        return ("-p", f"{self.request}:{self.size}:{','.join(map(str, self.offsets.values()))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """`pread` of `size` bytes at `offset`."""

    path: str
    offset: int = 0
    size: int
    parts: Parts | None = None

    @property
    def words(self) -> tuple[str, ...]:
        return ("pread", self.path, str(self.offset), str(self.size))


@dataclass(frozen=True, slots=True, kw_only=True)
class SeekRead:
    """`lseek` to `offset`, then `read` of `size` bytes: for devices that know no `pread`."""

    path: str
    offset: int = 0
    size: int
    parts: Parts | None = None

    @property
    def words(self) -> tuple[str, ...]:
        return ("read", self.path, str(self.offset), str(self.size))


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
    """A program, from fork to its end; its output is thrown away, and a status that is not 0 ends the timing."""

    command: tuple[str, ...]
    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("command", *self.command)


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop of two instructions a round, in user space."""

    rounds: int
    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("loop", str(self.rounds))


@dataclass(frozen=True, slots=True)
class SystemCall:
    """The shortest there is, `getppid`."""

    parts: None = field(default=None, init=False)

    @property
    def words(self) -> tuple[str, ...]:
        return ("syscall",)
