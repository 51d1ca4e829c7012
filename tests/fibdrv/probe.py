# SPDX-License-Identifier: MIT
"""The in-guest program `fibprobe`, so that a test can ask the device for many numbers in one command."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vmlab.guest.guest import Guest

DEVICE = "/dev/fibonacci"
_LONGEST_COMMAND = 100_000
"""Linux takes 128 KiB for one word of a command line, which is what the shell's whole command is."""
_PATIENCE = 0.25
"""How much of the guest's time limit a command gets. All of them take a second or two, and broken arithmetic may
never end: a minute under TCG is enough for the kernel's watchdog to report that."""


@dataclass(frozen=True, slots=True)
class Edge:
    """How one edge case ended: a number or the name of an error, and the file position before and after."""

    result: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Probe:
    """`fibprobe` at its path in a guest where the module is loaded. Every call is one SSH command."""

    guest: Guest
    path: str

    def read(self, indices: Iterable[int], form: str = "decimal", *, patience: float = _PATIENCE) -> dict[int, str]:
        """Each index's record by `pread`; an error's name, `EOF` or `MALFORMED` where there is none."""
        words = " ".join(map(str, indices))
        assert len(words) < _LONGEST_COMMAND, "too many indices for one command"
        return _by_index(self._run(f"{self.path} read {DEVICE} {form} {words}", patience))

    def read_range(self, first: int, last: int, form: str = "decimal") -> dict[int, str]:
        """The records from `first` to `last` by `pread`."""
        return _by_index(self._run(f"seq {first} {last} | {self.path} read {DEVICE} {form} -"))

    def numbers(self, indices: Iterable[int]) -> dict[int, int]:
        """Each index's number, read in hex: Python's own way from decimal takes time that grows with the square."""
        records = self.read(sorted(set(indices)), "hex")
        for n, text in records.items():
            assert text == text.lower(), f"reading F({n}) in hex gives {text}"
        return {n: int(text, 16) for n, text in records.items()}

    def sequence(self, start: int, count: int) -> list[tuple[int, str]]:
        """`count` reads one after the other from a position: the position before each, and the record."""
        output = self._run(f"{self.path} seq {DEVICE} {start} {count}")
        return [(int(n), text) for n, text in _fields(output)]

    def edges(self, *, as_root: bool = False) -> dict[str, Edge]:
        """How every edge case that the program knows ended."""
        sudo = "sudo " if as_root else ""
        rows = _fields(self._run(f"{sudo}{self.path} errno {DEVICE} all"))
        return {name: Edge(*rest) for name, *rest in rows}

    def vectors(self, start: int) -> dict[str, list[str]]:
        """What three buffers of three bytes get from `readv` and from `preadv`, and the position then."""
        return {name: rest for name, *rest in _fields(self._run(f"{self.path} vectors {DEVICE} {start}"))}

    def threads(self, threads: int, reads: int, start: int) -> dict[int, list[str]]:
        """What each of several threads that read one open file got, in the order it got it."""
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
