# SPDX-License-Identifier: MIT
"""A lab without machines, written as a conftest.py: pytester copies this file into each inner run.

Its guests are real `Guest`s over a transport that implements a few commands:

splat    the kernel reports a WARNING, and the command succeeds
taint N  the kernel's taint value becomes N
die      the guest dies without output
panic    the kernel panics: its console says so, and the guest is gone
stale N  the kernels of the first N guests die of a breakpoint that their code does not have
flood    the log overflows the kernel's ring buffer; a WARNING in it is on the console only
hang     the command never ends; the guest keeps running
guests   number of guests that this process has started so far
start    start of this guest: `booted`, or `forked` and the snapshot's stage
offline  the command fails as a download does without a network
false    the command ends with status 1, alone or as another's argument
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import cast

import vmlab
from vmlab.catalogue.target import Target
from vmlab.context import Say
from vmlab.guest.transport import CommandTooSlow, Completed
from vmlab.lab.facts import TargetFacts
from vmlab.machine.qmp import Monitor
from vmlab.machine.registry import MachineRecord
from vmlab.settings import Settings
from vmlab.system.process import ProcessIdentity
from vmlab.testing import FakeLab, FakeMachine, FakeTestbed, FakeTransport, completed

_END = "---[ end trace 0000000000000000 ]---"
_SPLAT = "WARNING: CPU: 0 PID: 94 at fibdrv_main.c:42 fib_read+0x1b/0x40 [fibdrv]"
_STALE = (
    "Oops: int3: 0000 [#1] SMP NOPTI",
    "RIP: 0010:__schedule+0x1be/0x1600",
    "Code: 48 89 c7 66 0f <1f> 44 00 00 48 8b",
    _END,
)


class KernelTransport(FakeTransport):
    """A guest's shell that implements a few commands."""

    def __init__(self, guests: int, start: str) -> None:
        self._guests = guests
        self._start = start
        super().__init__()

    def answer(self, command: str) -> Completed | str:
        if command == "hang":
            raise CommandTooSlow(f"{command!r} took too long")
        if command == "panic":
            self.console.said += "[    9.000000] Kernel panic - not syncing: fibdrv: out of order\n"
        if command in ("die", "panic"):
            self.die()
        if command.endswith("false"):
            return completed(command, status=1, stderr="false: as always\n")
        if command == "offline":
            return completed(command, status=6, stderr="curl: (6) Could not resolve host: example.org\n")
        if command == "splat":
            self._say(_SPLAT, _END)
        elif command.startswith("stale ") and self._guests <= int(command.split()[1]):
            self._say(*_STALE)
        elif command == "flood":
            self._say(_SPLAT, _END, *(f"flood {number}" for number in range(50)))
            del self.kernel_log[:-10]
        elif command.startswith("taint "):
            self.taint = int(command.split()[1])
        elif command in ("guests", "start"):
            return str(self._guests) if command == "guests" else self._start
        elif command.startswith("/tmp/stopwatch"):
            # An xdist worker has another sys.path, and pytester copied this file elsewhere.
            sys.path.append(str(Path(vmlab.__file__).parents[1] / "tests"))
            from unit.timing.fake_program import FakeProgram

            return FakeProgram().root(command)
        return super().answer(command)

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.say(line)


class KeepableMachine(FakeMachine):
    """A machine that can be kept as if it ran, unless its guest has died."""

    @property
    def monitor(self) -> Monitor:
        return cast("Monitor", LoggedMonitor())

    def keep(self) -> MachineRecord:
        identity = ProcessIdentity(pid=4711, started=1)
        return MachineRecord(target="none", qemu=identity, ssh_port=1, console="", expected_mib=0, is_kept=True)


class LoggedMonitor:
    """Writes executed commands to monitor.log."""

    def execute(self, command: str) -> None:
        with Path("monitor.log").open("a") as log:
            log.write(f"{command}\n")


class CountedTestbed(FakeTestbed):
    """Boots at once; its machines can be kept, and its module counts as built."""

    @property
    def facts(self) -> TargetFacts | None:
        known = super().facts
        if known is None:
            return None
        provenance = replace(known.provenance, compiler="gcc-12 (Debian 12.2.0-14) 12.2.0")
        return replace(known, provenance=provenance)

    def machine(self) -> FakeMachine:
        made = cast("CountedLab", self.run).guests
        return KeepableMachine(self.image, self.rig.spec, console=Path(f"console-{made + 1}.log"))


class CountedLab(FakeLab):
    """Counts the guests of all targets together."""

    guests = 0

    def make_testbed(self, target: Target) -> CountedTestbed:
        return CountedTestbed(self, target, self._transport)

    def _transport(self, how: str) -> KernelTransport:
        self.guests += 1
        return KernelTransport(self.guests, how)


def pytest_vmlab_make_lab(settings: Settings, progress: Say, notice: Say) -> CountedLab:
    return CountedLab(settings, progress=progress, notice=notice)
