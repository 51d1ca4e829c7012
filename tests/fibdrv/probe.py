# SPDX-License-Identifier: MIT
"""Wrapper of the in-guest program `fibprobe`, which asks the device for many numbers in one command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vmlab.guest.guest import Guest

DEVICE = "/dev/fibonacci"
_LONGEST_COMMAND = 100_000
"""Length limit in bytes of a shell command, which is one argument; Linux allows 128 KiB for an argument."""
_PATIENCE = 0.25
"""Share of the guest's time limit for one command. Commands take one or two seconds. Broken arithmetic may never end: a
minute under TCG is enough for the kernel's watchdog to report it."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Result of one edge case: a number or an errno name, and the file position before and after."""

    result: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Probe:
    """`fibprobe` at `path` in a guest with the module loaded. Each call is one SSH command."""

    guest: Guest
    path: str

    def read(self, indices: Iterable[int], form: str = "decimal", *, patience: float = _PATIENCE) -> dict[int, str]:
        """Each index's record by `pread`; an errno name, `EOF` or `MALFORMED` instead of a missing record."""
        words = " ".join(map(str, indices))
        assert len(words) < _LONGEST_COMMAND, "too many indices for one command"
        return _by_index(self._run(f"{self.path} read {DEVICE} {form} {words}", patience))

    def read_range(self, first: int, last: int, form: str = "decimal") -> dict[int, str]:
        """Records from `first` to `last` by `pread`."""
        return _by_index(self._run(f"seq {first} {last} | {self.path} read {DEVICE} {form} -"))

    def numbers(self, indices: Iterable[int]) -> dict[int, int]:
        """Each index's number, read in hex: Python's conversion from decimal takes quadratic time."""
        records = self.read(sorted(set(indices)), "hex")
        for n, text in records.items():
            assert text == text.lower(), f"reading F({n}) in hex gives {text}"
        return {n: int(text, 16) for n, text in records.items()}

    def sequence(self, start: int, count: int) -> list[tuple[int, str]]:
        """`count` consecutive reads from a position, each as the position before it and the record."""
        output = self._run(f"{self.path} seq {DEVICE} {start} {count}")
        return [(int(n), text) for n, text in _fields(output)]

    def edges(self, *, as_root: bool = False) -> dict[str, Edge]:
        """Result of every edge case that the program implements."""
        sudo = "sudo " if as_root else ""
        rows = _fields(self._run(f"{sudo}{self.path} errno {DEVICE} all"))
        return {name: Edge(*rest) for name, *rest in rows}

    def vectors(self, start: int) -> dict[str, list[str]]:
        """Contents of three 3-byte buffers after `readv` and after `preadv`, and the final position."""
        return {name: rest for name, *rest in _fields(self._run(f"{self.path} vectors {DEVICE} {start}"))}

    def threads(self, threads: int, reads: int, start: int) -> dict[int, list[str]]:
        """Records read by each of several threads from one open file, in reading order."""
        got: dict[int, list[str]] = {number: [] for number in range(threads)}
        for thread, text in _fields(self._run(f"{self.path} threads {DEVICE} {threads} {reads} {start}")):
            got[int(thread)].append(text)
        return got

    def _run(self, command: str, patience: float = _PATIENCE) -> str:
        return self.guest.succeed(command, timeout_s=patience * self.guest.limits.command_s)


def _fields(output: str) -> list[list[str]]:
    return [line.split("\t") for line in output.splitlines()]


def _by_index(output: str) -> dict[int, str]:
    return {int(n): text for n, text in _fields(output)}
