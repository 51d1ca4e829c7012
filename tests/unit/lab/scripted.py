# SPDX-License-Identifier: MIT
"""A testbed whose boots, forks and snapshots end as the test says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from unit import fakes
from vmlab.errors import VmlabError
from vmlab.host.accelerator import Accelerator
from vmlab.lab.freezer import Cargo, Freezer, Stage
from vmlab.lab.machines import Machines, Running
from vmlab.lab.rig import Rig
from vmlab.lab.run import Run
from vmlab.lab.testbed import Testbed
from vmlab.machine.snapshot import Origin
from vmlab.store.store import StoredObject
from vmlab.testing import FakeMachine, FakeTransport

TARGET = fakes.target("debian12-6.1")
SNAPSHOT = StoredObject(
    kind="snapshot", digest="0" * 20, path=Path("none"), inputs={}, facts={}, created=0.0, size_bytes=0, seal=""
)


class Script:
    """Faults to raise, each once, and the list of actions so far."""

    def __init__(self) -> None:
        self.boots: list[VmlabError] = []
        self.snapshots: list[VmlabError] = []
        self.forks: list[VmlabError] = []
        self.done: list[str] = []

    def act(self, what: str, faults: list[VmlabError]) -> None:
        """Record an action, and raise the next of its faults."""
        self.done.append(what)
        if faults:
            raise faults.pop(0)


class ScriptedMachines(Machines):
    """Boots as scripted."""

    def __init__(self, rig: Rig, script: Script) -> None:
        super().__init__(rig)
        self._scripted = rig
        self._script = script

    @contextlib.contextmanager
    def boot(self, origin: Origin | None = None, *, has_network: bool = False) -> Iterator[Running]:
        del origin
        _ = self._scripted.image
        self._script.act("boot", self._script.boots)
        yield running(self._scripted, is_fork=False, has_network=has_network)


class ScriptedFreezer(Freezer):
    """Makes and resumes snapshots as scripted."""

    def __init__(self, rig: Rig, machines: Machines, script: Script) -> None:
        super().__init__(rig, machines)
        self._scripted = rig
        self._script = script

    def obtain(self, cargo: Cargo) -> StoredObject:
        _ = self._scripted.image
        self._script.act(f"obtain {cargo.stage}", self._script.snapshots)
        return SNAPSHOT

    @contextlib.contextmanager
    def resume(self, snapshot: StoredObject, *, has_network: bool = False) -> Iterator[Running]:
        del snapshot
        self._script.act("fork with a network" if has_network else "fork", self._script.forks)
        yield running(self._scripted, is_fork=True, has_network=has_network)


class ScriptedTestbed(Testbed):
    """A testbed without a module: its stages differ by name alone."""

    def __init__(self, run: Run, rig: Rig, script: Script) -> None:
        machines = ScriptedMachines(rig, script)
        super().__init__(run, TARGET, rig=rig, machines=machines, freezer=ScriptedFreezer(rig, machines, script))

    def cargo(self, stage: Stage) -> Cargo:
        return Cargo(stage=stage)

    def start(self, stage: Stage = Stage.READY) -> str:
        """Start a fork, and describe its origin and accelerator."""
        with self.fork(stage) as forked:
            return _words(forked)

    def start_anew(self) -> str:
        """Boot a guest, and describe its origin and accelerator."""
        with self.boot() as booted:
            return _words(booted)


def running(rig: Rig, *, is_fork: bool, has_network: bool) -> Running:
    transport = FakeTransport()
    guest = fakes.guest_over(transport, is_emulated=rig.accelerator.accelerator is Accelerator.TCG)
    machine = FakeMachine(rig.image, rig.spec, console=Path("console"), has_network=has_network)
    return Running(target=TARGET, guest=guest, machine=machine, start_s=1.0, open_shell=lambda _: 0, is_fork=is_fork)


def _words(started: Running) -> str:
    return f"{'fork' if started.is_fork else 'boot'} by {'tcg' if started.guest.is_emulated else 'kvm'}"
