# SPDX-License-Identifier: MIT
"""What the guest needs of whatever carries its commands: `ssh.py` is one, a test's fake another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


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


class CommandTooSlow(Exception):
    """The command's time was up; whether the guest lives is another question."""


class TransportLost(Exception):
    """The connection ended under the command; the text says how."""


class Transport(Protocol):
    """Runs commands and copies files, each within a time limit in seconds."""

    def run(self, command: str, *, timeout_s: float) -> Completed:
        """Run a shell command; raises `CommandTooSlow` or `TransportLost`."""

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        """Copy a file in; raises `OSError` for a refused path, `CommandTooSlow` or `TransportLost`."""

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        """Copy a file out; raises `OSError` for a refused path, `CommandTooSlow` or `TransportLost`."""

    def close(self) -> None:
        """Let go of the connection; safe to call again."""
