# SPDX-License-Identifier: MIT
"""Interfaces of a guest's transport; implemented by `ssh.py`, `root_shell.py` and the fakes of tests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

_SHOWN_LINES = 30
_SHOWN_CHARACTERS = 20_000
"""Maximum of each stream in an error: its lines may be long."""
MOST_OUTPUT_BYTES = 16 << 20
"""Maximum that is kept of each of a command's streams: a hundred times what a verbose test prints, and the memory of
several such commands is still small beside that of a guest."""
MOST_FILE_BYTES = 1 << 30
"""Default maximum for a file that is copied out: a trace or a core dump fits, a sparse file that fills the disk does
not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """Result of a command in the guest. A status above 128 is 128 plus the signal that ended it."""

    command: str
    status: int
    stdout: str
    stderr: str
    duration_s: float
    left_out: int = 0
    """Number of bytes that were left out of the middle of `stdout` and `stderr`, where a line says so; 0 if both are
    complete."""

    @property
    def ok(self) -> bool:
        return self.status == 0


def output_of(done: Completed) -> str:
    """Last lines of a command's output, as evidence below an error."""
    parts = (part[-_SHOWN_CHARACTERS:].rstrip() for part in (done.stdout, done.stderr))
    lines = [line for part in parts for line in part.splitlines()]
    return "\n".join(lines[-_SHOWN_LINES:])


class CommandTooSlow(Exception):
    """The command timed out; the guest may still be alive."""


class TransportLost(Exception):
    """The connection ended during the command; the text says how."""


class FileTooLarge(Exception):
    """A file in the guest is larger than its copy may be."""

    def __init__(self, size: int, max_bytes: int) -> None:
        super().__init__(f"it has {size} bytes or more, the limit is {max_bytes}")


class Commands(Protocol):
    """Runs commands, each with a timeout in seconds."""

    def run(self, command: str, *, timeout_s: float) -> Completed:
        """Run a shell command; raises `CommandTooSlow` or `TransportLost`."""

    def close(self) -> None:
        """Close the connection; can be called more than once."""

    def cut(self) -> None:
        """End the running command from another thread; the connection is unusable afterwards."""


class Transport(Commands, Protocol):
    """Runs commands and copies files."""

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        """Copy a file in; raises `OSError` for a refused path, `CommandTooSlow` or `TransportLost`."""

    def get(self, remote: str, local: Path, *, timeout_s: float, max_bytes: int = MOST_FILE_BYTES) -> None:
        """Copy a file out; raises `OSError` for a refused path, `FileTooLarge`, `CommandTooSlow` or `TransportLost`."""


T = TypeVar("T", bound=Transport)


class LateTransport(Generic[T]):
    """A connection that is made in the background; its first use waits for it, or raises its error."""

    def __init__(self, connect: Callable[[], T]) -> None:
        # The pool's thread ends when the connection is made, at the latest with the machine.
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vmlab-connect")
        self._made = pool.submit(connect)
        pool.shutdown(wait=False)

    def settle(self) -> T:
        """Wait for the connection; raises the error if it failed."""
        return self._made.result()

    def run(self, command: str, *, timeout_s: float) -> Completed:
        return self.settle().run(command, timeout_s=timeout_s)

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        self.settle().put(local, remote, timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float, max_bytes: int = MOST_FILE_BYTES) -> None:
        self.settle().get(remote, local, timeout_s=timeout_s, max_bytes=max_bytes)

    def cut(self) -> None:
        if self._made.done() and self._made.exception() is None:
            self._made.result().cut()

    def close(self) -> None:
        """Close the connection once it is made; does nothing if it fails."""
        self._made.add_done_callback(lambda made: None if made.exception() else made.result().close())
