# SPDX-License-Identifier: MIT
"""Fakes that several unit tests share: a target, an image, a transport with scripted answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.target import Target
from vmlab.guest.guest import Guest
from vmlab.guest.hang import HangProbe
from vmlab.guest.transport import MOST_FILE_BYTES, Completed, Transport, TransportLost
from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import limits_for
from vmlab.machine.console import Console
from vmlab.testing import FakeConsole as FakeConsole
from vmlab.testing import completed as completed
from vmlab.testing import image as image

Answer = Completed | str | Exception | Callable[[str], "Completed | str"]


def target(name: str) -> Target:
    """A row of the real catalogue."""
    (found,) = load_matrix().select(name)
    return found


class FakeTransport:
    """Answers commands from a table by their first word; implements `echo` like any shell."""

    def __init__(self, answers: dict[str, Answer] | None = None) -> None:
        self.answers = answers or {}
        self.commands: list[str] = []
        self.limits: list[float] = []
        self.is_dead = False
        self.is_closed = False

    def run(self, command: str, *, timeout_s: float) -> Completed:
        self.commands.append(command)
        self.limits.append(timeout_s)
        if self.is_dead:
            raise TransportLost("EOFError")
        answer = self.answers.get(command.split()[0])
        if callable(answer):
            answer = answer(command)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Completed):
            return answer
        if answer is None and command.startswith("echo "):
            answer = command.removeprefix("echo ") + "\n"
        return completed(command, stdout=answer or "")

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        self.run(f"put {local} {remote}", timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float, max_bytes: int = MOST_FILE_BYTES) -> None:
        del max_bytes
        self.run(f"get {remote} {local}", timeout_s=timeout_s)

    def close(self) -> None:
        self.is_closed = True

    def cut(self) -> None:
        self.is_dead = True


def guest_over(transport: Transport, *, is_emulated: bool) -> Guest:
    """A real `Guest` over any transport, with KVM's limits and an empty console."""
    return Guest(
        transport,
        root_transport=lambda: transport,
        limits=limits_for(Accelerator.KVM),
        console=FakeConsole(),
        is_emulated=is_emulated,
    )


def guest(
    transport: Transport,
    *,
    root: Transport | None = None,
    require_alive: Callable[[], None] = lambda: None,
    console: Console | None = None,
    probe: HangProbe | None = None,
    is_emulated: bool = False,
    log_position: int | None = None,
) -> Guest:
    """A real `Guest` over fake transports, with KVM's limits and a console with one message."""
    return Guest(
        transport,
        root_transport=lambda: root or transport,
        limits=limits_for(Accelerator.KVM),
        console=console or FakeConsole("console: Kernel panic - not syncing\n"),
        require_alive=require_alive,
        probe=probe,
        is_emulated=is_emulated,
        log_position=log_position,
    )
