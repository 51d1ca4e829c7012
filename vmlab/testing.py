# SPDX-License-Identifier: MIT
"""Fakes for tests of fixtures and plugins that use vmlab: a lab whose guests run without QEMU.

Use it from a conftest.py:

    def pytest_vmlab_make_lab(settings, progress, notice):
        return FakeLab(settings, progress=progress, notice=notice)

Its guests are real `Guest`s over a `FakeTransport`; a subclass of that can answer commands.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from vmlab.catalogue.target import Architecture, Target
from vmlab.context import Say, silent
from vmlab.errors import MachineLost
from vmlab.guest.guest import Guest
from vmlab.guest.transport import MOST_FILE_BYTES, Completed, TransportLost
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.limits import limits_for
from vmlab.image.image import Image
from vmlab.lab.freezer import Stage
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.lab.rig import Rig
from vmlab.lab.run import Run
from vmlab.lab.testbed import Testbed
from vmlab.machine.console import Console
from vmlab.machine.machine import Machine
from vmlab.machine.qmp import Monitor
from vmlab.module.source import Source
from vmlab.settings import Settings

RELEASE = "6.1.0-56-cloud-amd64"
"""Kernel release of a fake guest, unless its image has another."""


class FakeConsole(Console):
    """A serial console whose log is `said`."""

    def __init__(self, said: str = "") -> None:
        super().__init__(Path("console"))
        self.said = said

    def read(self, start: int, end: int) -> bytes:
        """Return the log's bytes between two positions."""
        return self.said.encode()[start:end]

    def size(self) -> int:
        """Return the length of the log in bytes."""
        return len(self.said.encode())


class FakeTransport:
    """A guest's shell and its kernel log. Every command succeeds and prints nothing, unless `answer` returns more."""

    def __init__(self) -> None:
        self.console = FakeConsole()
        self.taint = 0
        """The kernel's taint value."""
        self.kernel_log: list[str] = []
        """Unread lines of the kernel log, in the format of /dev/kmsg."""
        self.on_death: Callable[[], None] = lambda: None
        self._next = 0
        self._is_dead = False
        self.say("Linux version 6.1.0")

    def answer(self, command: str) -> Completed | str:
        """Return a command's output or result; may raise `CommandTooSlow` or `TransportLost`. For subclasses."""
        return command.removeprefix("echo ") + "\n" if command.startswith("echo ") else ""

    def say(self, text: str, *, prefix: int = 4) -> None:
        """Add a line to the kernel log; `prefix` is its level plus 8 times its facility."""
        self.kernel_log.append(f"{prefix},{self._next},{self._next}00000,-;{text}")
        self.console.said += f"[{self._next / 10:12.6f}] {text}\n"
        self._next += 1

    def die(self) -> None:
        """Lose the guest: every later command raises `TransportLost`."""
        self._is_dead = True
        self.on_death()

    def run(self, command: str, *, timeout_s: float) -> Completed:
        """Run a command: handles /dev/kmsg itself, and calls `answer` for any other."""
        del timeout_s
        answer = self.answer(command) if not self._is_dead and "/dev/kmsg" not in command else ""
        if self._is_dead:
            raise TransportLost("EOFError")
        if "/dev/kmsg" in command:
            answer = self._use_log(command)
        if isinstance(answer, Completed):
            return answer
        return completed(command, stdout=answer)

    def _use_log(self, command: str) -> str:
        for word in shlex.split(command):
            if word.startswith("<6>"):
                self.say(word.removeprefix("<6>"), prefix=14)
        is_read = "dd " in command or "cat " in command
        return "\n".join([str(self.taint), *(self.kernel_log if is_read else ())]) + "\n"

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        """Accept a file and discard it."""
        self.run(f"put {local} {remote}", timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float, max_bytes: int = MOST_FILE_BYTES) -> None:
        """Return without writing a file."""
        del max_bytes
        self.run(f"get {remote} {local}", timeout_s=timeout_s)

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def cut(self) -> None:
        """Do nothing: there is no connection."""


class FakeMonitor:
    """A fake of QEMU's monitor, which records commands."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    def execute(self, command: str) -> None:
        """Record a command."""
        self.executed.append(command)


class FakeMachine(Machine):
    """A machine without a process."""

    is_dead = False

    @property
    def monitor(self) -> Monitor:
        """A monitor that records commands."""
        return cast("Monitor", self.__dict__.setdefault("_monitor", FakeMonitor()))

    def require_alive(self) -> None:
        """Raise `MachineLost` if its guest has died."""
        if self.is_dead:
            raise MachineLost("the kernel panicked: sysrq triggered crash")


class FakeRig(Rig):
    """A rig whose image has no files, with TCG as accelerator."""

    image_files = Path("none")
    """Directory for the paths of the image's files, which do not exist."""

    def obtain_image(self) -> Image:
        """Return an image whose files do not exist."""
        target = self.target
        return image(self.image_files, target_id=target.id, architecture=target.architecture)

    def hold(self, image: Image) -> None:
        """Do nothing: the image is not in a store."""

    @property
    def host_verdict(self) -> Verdict:
        """TCG, as asked for."""
        return Verdict(accelerator=Accelerator.TCG, reason="asked for")


class FakeTestbed(Testbed):
    """A testbed whose guests answer at once; `make_transport` makes a transport for each."""

    def __init__(self, run: Run, target: Target, make_transport: Callable[[str], FakeTransport]) -> None:
        super().__init__(run, target, rig=FakeRig(run, target))
        self._make_transport = make_transport

    @contextlib.contextmanager
    def boot(self, *, has_network: bool | None = None) -> Iterator[Running]:
        """Yield a guest that was `booted`."""
        with self.start("booted", has_network=has_network) as running:
            yield running

    @contextlib.contextmanager
    def fork(self, stage: Stage = Stage.READY, *, has_network: bool | None = None) -> Iterator[Running]:
        """Yield a guest that was `forked` from a stage."""
        with self.start(f"forked {stage}", has_network=has_network) as running:
            yield running

    def program(self, main: str, *, tree: Source | None = None) -> Path:
        """Return the path that a compiled program would have."""
        del tree
        return Path(main).with_suffix("")

    @contextlib.contextmanager
    def start(self, how: str, *, has_network: bool | None = None) -> Iterator[Running]:
        """Yield a new guest; `how` is passed to `make_transport`, `has_network` is as in `Testbed.boot`."""
        machine = self.machine()
        machine.has_network = self._has_network(has_network)
        self.rig.learn_boot(1.0, machine.console.path)
        transport = self._make_transport(how)
        transport.on_death = lambda: setattr(machine, "is_dead", True)
        is_fork = how != "booted"
        yield Running(
            target=self.target,
            guest=self.guest_over(transport, has_network=machine.has_network),
            machine=machine,
            start_s=1.0,
            open_shell=lambda _: 0,
            is_fork=is_fork,
        )

    def machine(self) -> FakeMachine:
        """Return a machine without a process; a subclass may override it."""
        known = self.facts
        return FakeMachine(self.image, self.rig.spec, console=Path(f"console-{known.boots + 1 if known else 1}.log"))

    def guest_over(self, transport: FakeTransport, *, has_network: bool = False) -> Guest:
        """Return a real guest over a fake transport, with the timeouts of KVM."""
        return Guest(
            transport,
            root_transport=lambda: transport,
            limits=limits_for(Accelerator.KVM),
            console=transport.console,
            rules=self.run.rules,
            release=self.image.release,
            is_emulated=True,
            has_network=has_network,
        )


class FakeLab(Lab):
    """A lab without machines."""

    def __init__(
        self,
        settings: Settings,
        *,
        progress: Say = silent,
        notice: Say = silent,
        make_transport: Callable[[str], FakeTransport] = lambda _: FakeTransport(),
    ) -> None:
        """Make a lab; `make_transport` gets how a guest was started, `booted` or `forked ready`."""
        super().__init__(settings, progress=progress, notice=notice)
        self.make_transport = make_transport

    def qemu_version(self, architecture: Architecture) -> str:
        """Return a fixed version, without running QEMU."""
        del architecture
        return "7.2.22"

    def make_testbed(self, target: Target) -> Testbed:
        """Return a testbed whose guests answer at once."""
        return FakeTestbed(self, target, self.make_transport)


def completed(command: str, *, status: int = 0, stdout: str = "", stderr: str = "") -> Completed:
    """Return the result of a command that ended."""
    return Completed(command=command, status=status, stdout=stdout, stderr=stderr, duration_s=0.0)


def image(
    directory: Path,
    *,
    target_id: str = "debian12-6.1",
    release: str = RELEASE,
    architecture: Architecture = Architecture.AMD64,
) -> Image:
    """Return an image whose files do not exist."""
    return Image(
        target_id=target_id,
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
    )
