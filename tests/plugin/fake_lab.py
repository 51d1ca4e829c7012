# SPDX-License-Identifier: MIT
"""A lab without machines, written as a conftest.py: pytester copies this file into each run of its own.

Its guests are real `Guest`s over a transport that understands a few commands:

splat    the kernel reports a WARNING, and the command succeeds
taint N  the kernel's taint value is N from now on
die      the guest is gone, without a word
panic    the kernel panics: its console says so, and the guest is gone
stale N  the first N guests' kernel dies of a breakpoint that its code does not have
flood    so much is logged that the kernel's ring holds nothing else; a WARNING among it is on the console only
hang     the command comes to no end; the guest goes on
guests   how many guests this process has started so far
start    how this one was: `booted`, or `forked` and the snapshot's stage
false    the command ends with status 1, alone or as another's argument
"""

from __future__ import annotations

import contextlib
import importlib
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

import vmlab
from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import MachineLost
from vmlab.guest.guest import Guest
from vmlab.guest.transport import CommandTooSlow, Completed, TransportLost
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.limits import limits_for
from vmlab.image.image import Image
from vmlab.lab.facts import TargetFacts
from vmlab.lab.lab import Lab, Running
from vmlab.lab.snapshots import Forks, Stage
from vmlab.machine.argv import machine_spec
from vmlab.machine.console import Console
from vmlab.machine.machine import Machine
from vmlab.machine.qmp import Monitor
from vmlab.machine.registry import MachineRecord
from vmlab.module.source import Source
from vmlab.provenance import Provenance
from vmlab.system.process import ProcessIdentity

_END = "---[ end trace 0000000000000000 ]---"
_SPLAT = "WARNING: CPU: 0 PID: 94 at fibdrv_main.c:42 fib_read+0x1b/0x40 [fibdrv]"
_STALE = (
    "Oops: int3: 0000 [#1] SMP NOPTI",
    "RIP: 0010:__schedule+0x1be/0x1600",
    "Code: 48 89 c7 66 0f <1f> 44 00 00 48 8b",
    _END,
)


class KernelTransport:
    """A guest's shell and its kernel log."""

    def __init__(self, guests: int, start: str) -> None:
        self._guests = guests
        self._start = start
        self._taint = 0
        self.on_death: Callable[[], None] = lambda: None
        self._log: list[str] = []
        self._next = 0
        self._is_dead = False
        self.console = FakeConsole()
        self._say("Linux version 6.1.0-56-cloud-amd64")

    def run(self, command: str, *, timeout_s: float) -> Completed:
        if command == "hang":
            raise CommandTooSlow(f"{command!r} took longer than {timeout_s:.0f} s")
        if command == "panic":
            self.console.said += "[    9.000000] Kernel panic - not syncing: fibdrv: out of order\n"
        if command in ("die", "panic"):
            self._is_dead = True
            self.on_death()
        if self._is_dead:
            raise TransportLost("EOFError")
        if command.endswith("false"):
            return Completed(command=command, status=1, stdout="", stderr="false: as always\n", duration_s=0.0)
        stdout = ""
        if command == "splat":
            self._say(_SPLAT)
            self._say(_END)
        elif command.startswith("stale ") and self._guests <= int(command.split()[1]):
            for line in _STALE:
                self._say(line)
        elif command == "flood":
            for line in (_SPLAT, _END, *(f"flood {number}" for number in range(50))):
                self._say(line)
            del self._log[:-10]
        elif command == "guests":
            stdout = str(self._guests)
        elif command == "start":
            stdout = self._start
        elif command.startswith("taint "):
            self._taint = int(command.split()[1])
        elif "/dev/kmsg" in command:
            if command.startswith("echo "):
                self._say(shlex.split(command)[1].removeprefix("<6>"), prefix=14)
            stdout = "\n".join([str(self._taint), *(self._log if "dd " in command or "cat " in command else ())]) + "\n"
        elif command.startswith("/tmp/stopwatch"):
            # A worker of xdist's has a path of its own, and this file lies where pytester put it.
            sys.path.append(str(Path(vmlab.__file__).parents[1] / "tests"))
            from unit.timing.fake_program import FakeProgram

            return FakeProgram().root(command)
        elif command.startswith("echo "):
            stdout = command.removeprefix("echo ") + "\n"
        return Completed(command=command, status=0, stdout=stdout, stderr="", duration_s=0.0)

    def _say(self, text: str, *, prefix: int = 4) -> None:
        self._log.append(f"{prefix},{self._next},{self._next}00000,-;{text}")
        self.console.said += f"[{self._next / 10:12.6f}] {text}\n"
        self._next += 1

    def put(self, local: Path, remote: str, *, timeout_s: float) -> None:
        self.run(f"put {local} {remote}", timeout_s=timeout_s)

    def get(self, remote: str, local: Path, *, timeout_s: float) -> None:
        self.run(f"get {remote} {local}", timeout_s=timeout_s)

    def close(self) -> None:
        pass

    def cut(self) -> None:
        pass


class FakeConsole(Console):
    """What this guest printed."""

    said = ""

    def __init__(self) -> None:
        super().__init__(Path("console"))

    def text(self, *, after: int = 0, until: int | None = None) -> str:
        return self.said[after:until]

    def size(self) -> int:
        return len(self.said)


class FakeLab(Lab):
    """Boots at once; everything else is the real one's."""

    guests = 0

    def image(self, target: Target) -> Image:
        return _image(Path("none"))

    def verdict(self, image: Image) -> Verdict:
        return Verdict(accelerator=Accelerator.TCG, reason="asked for")

    def program(self, target: Target, main: str, guest: Callable[[], Guest], *, tree: Source | None = None) -> Path:
        return Path(main).with_suffix("")

    @contextlib.contextmanager
    def boot(self, target: Target) -> Iterator[Running]:
        with self.start(target, "booted") as running:
            yield running

    @contextlib.contextmanager
    def start(self, target: Target, how: str) -> Iterator[Running]:
        self.guests += 1
        self.facts[target.id] = _facts(self.guests)
        transport = KernelTransport(self.guests, how)
        guest = Guest(
            transport,
            root_transport=lambda: transport,
            limits=limits_for(Accelerator.KVM),
            console=transport.console,
            rules=self.rules,
            release="6.1.0-56-cloud-amd64",
            is_emulated=True,
        )
        image = _image(Path("none"))
        spec = machine_spec(image, Accelerator.TCG, cpus=2, memory_mib=1024)
        machine = FakeMachine(image, spec, console=Path(f"console-{self.guests}.log"))
        transport.on_death = lambda: setattr(machine, "is_dead", True)
        is_fork = how != "booted"
        yield Running(target=target, guest=guest, machine=machine, start_s=1.0, open_shell=lambda _: 0, is_fork=is_fork)


class FakeMachine(Machine):
    """Can be kept, as if it ran, unless its guest has died."""

    is_dead = False

    @property
    def monitor(self) -> Monitor:
        return cast("Monitor", FakeMonitor())

    def require_alive(self) -> None:
        if self.is_dead:
            raise MachineLost("the kernel panicked: sysrq triggered crash")

    def keep(self) -> MachineRecord:
        identity = ProcessIdentity(pid=4711, started=1)
        return MachineRecord(target="none", qemu=identity, ssh_port=1, console="", expected_mib=0, is_kept=True)


class FakeMonitor:
    """Writes down what it is told."""

    def execute(self, command: str) -> None:
        with Path("monitor.log").open("a") as log:
            log.write(f"{command}\n")


class FakeForks(Forks):
    """Forks at once."""

    @contextlib.contextmanager
    def fork(self, target: Target, stage: Stage = Stage.READY) -> Iterator[Running]:
        lab = cast("FakeLab", self.lab)
        with lab.start(target, f"forked {stage}") as running:
            yield running


def _facts(boots: int) -> TargetFacts:
    provenance = Provenance(
        release="6.1.0-56-cloud-amd64",
        kernel_package="6.1.170-1",
        image="0" * 20,
        qemu="7.2.22",
        accelerator="tcg",
        accelerator_reason="asked for",
        cpu_model="max",
        cpus=2,
        memory_mib=1024,
        timing_source="clock",
        compiler="gcc-12 (Debian 12.2.0-14) 12.2.0",
    )
    return TargetFacts(
        provenance=provenance, image="cached", image_s=0.0, boot_s=1.0, boots=boots, consoles=(f"console-{boots}.log",)
    )


def _image(directory: Path) -> Image:
    return Image(
        target_id="none",
        architecture=Architecture.AMD64,
        digest="0" * 20,
        seal="1" * 20,
        release="6.1.0-56-cloud-amd64",
        disk=directory,
        kernel=directory,
        initrd=directory,
        tool_root=directory,
        packages={},
        is_new=False,
        size_bytes=0,
        host_key="",
        user_key=directory,
    )


_PATCH = pytest.MonkeyPatch()
_PATCH.setattr(importlib.import_module("vmlab.plugin.session"), "Lab", FakeLab)
_PATCH.setattr(importlib.import_module("vmlab.plugin.session"), "Forks", FakeForks)


def pytest_unconfigure(config: pytest.Config) -> None:
    del config
    _PATCH.undo()
