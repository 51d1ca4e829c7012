# SPDX-License-Identifier: MIT
"""Stand-ins that several unit tests share: a target, an image, a transport that a test tells what to answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from vmlab.catalogue.matrix import load_matrix
from vmlab.catalogue.target import Architecture, Target
from vmlab.guest.guest import Guest
from vmlab.guest.hang import HangProbe
from vmlab.guest.transport import Completed, TransportLost
from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import limits_for
from vmlab.image.image import Image
from vmlab.machine.console import Console

Answer = Completed | str | Exception | Callable[[str], "Completed | str"]


def target(name: str) -> Target:
    """A row of the real catalogue."""
    (found,) = load_matrix().select(name)
    return found


def image(
    directory: Path, *, release: str = "6.1.0-56-cloud-amd64", architecture: Architecture = Architecture.AMD64
) -> Image:
    """An image whose files are not there."""
    return Image(
        target_id="debian12-6.1",
        architecture=architecture,
        digest="0" * 20,
        seal="1" * 20,
        release=release,
        disk=directory / "disk.qcow2",
        kernel=directory / "kernel",
        initrd=directory / "initrd",
        tool_root=directory / "tools",
        packages={},
        is_new=False,
        size_bytes=0,
        host_key="ssh-ed25519 AAAA",
        user_key=directory / "user",
    )


def completed(command: str, *, status: int = 0, stdout: str = "", stderr: str = "") -> Completed:
    return Completed(command=command, status=status, stdout=stdout, stderr=stderr, duration_s=0.0)


class FakeTransport:
    """Answers commands from a table by their first word; echoes an `echo`, as any living shell does."""

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

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        self.run(f"get {remote} {local}", timeout_s=timeout_s)

    def close(self) -> None:
        self.is_closed = True

    def cut(self) -> None:
        self.is_dead = True


class FakeConsole(Console):
    """A serial console that has said one thing, and says more when a test tells it to."""

    def __init__(self, said: str = "") -> None:
        super().__init__(Path("console"))
        self.said = said

    def text(self, *, after: int = 0, until: int | None = None) -> str:
        return self.said[after:until]

    def size(self) -> int:
        return len(self.said)


def guest(
    transport: FakeTransport,
    *,
    root: FakeTransport | None = None,
    require_alive: Callable[[], None] = lambda: None,
    console: Console | None = None,
    probe: HangProbe | None = None,
    is_emulated: bool = False,
) -> Guest:
    """A real `Guest` over fake transports, with KVM's limits and a console that said one thing."""
    return Guest(
        transport,
        root_transport=lambda: root or transport,
        limits=limits_for(Accelerator.KVM),
        console=console or FakeConsole("console: Kernel panic - not syncing\n"),
        require_alive=require_alive,
        probe=probe,
        is_emulated=is_emulated,
    )
