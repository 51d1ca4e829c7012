# SPDX-License-Identifier: MIT
"""What the guest needs of whatever carries its commands: `ssh.py` is one, a test's fake another."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

_SHOWN_LINES = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A command that ended in the guest. A status above 128 is 128 plus the signal that ended it."""

    command: str
    status: int
    stdout: str
    stderr: str
    duration_s: float

    @property
    def ok(self) -> bool:
        return self.status == 0


def output_of(done: Completed) -> str:
    """The end of what a command printed, as evidence below an error."""
    lines = [line for part in (done.stdout, done.stderr) for line in part.rstrip().splitlines()]
    return "\n".join(lines[-_SHOWN_LINES:])


class CommandTooSlow(Exception):
    """The command's time was up; whether the guest lives is another question."""


class TransportLost(Exception):
    """The connection ended under the command; the text says how."""


class Commands(Protocol):
    """Runs commands, each within a time limit in seconds."""

    def run(self, command: str, *, timeout_s: float) -> Completed:
        """Run a shell command; raises `CommandTooSlow` or `TransportLost`."""

    def close(self) -> None:
        """Let go of the connection; safe to call again."""

    def cut(self) -> None:
        """End whatever runs over it, from another thread; nothing goes over it any more."""


class Transport(Commands, Protocol):
    """Copies files as well."""

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        """Copy a file in; raises `OSError` for a refused path, `CommandTooSlow` or `TransportLost`."""

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        """Copy a file out; raises `OSError` for a refused path, `CommandTooSlow` or `TransportLost`."""


T = TypeVar("T", bound=Transport)


class LateTransport(Generic[T]):
    """A connection that is made in the background; whoever uses it first waits for it, or gets what went wrong."""

    def __init__(self, connect: Callable[[], T]) -> None:
        # The pool's thread ends with the connecting, and that with the machine at the latest.
        pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vmlab-connect")
        self._made = pool.submit(connect)
        pool.shutdown(wait=False)

    def settle(self) -> T:
        """Wait for the connection; raises what making it raised."""
        return self._made.result()

    def run(self, command: str, *, timeout_s: float) -> Completed:
        return self.settle().run(command, timeout_s=timeout_s)

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        self.settle().put(local, remote, timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        self.settle().get(remote, local, timeout_s=timeout_s)

    def cut(self) -> None:
        if self._made.done() and self._made.exception() is None:
            self._made.result().cut()

    def close(self) -> None:
        """Close the connection once it is made; one that never is, is nothing to close."""
        self._made.add_done_callback(lambda made: None if made.exception() else made.result().close())
