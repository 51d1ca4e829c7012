# SPDX-License-Identifier: MIT
"""Two guests run in turns: one is paused while the other is timed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from unit.timing.fake_program import FakeProgram
from vmlab.guest.transport import Completed
from vmlab.lab.interleaved import in_turns
from vmlab.lab.timed import Timed
from vmlab.timing.compare import SAMPLES, Verdict, compare
from vmlab.timing.operation import Loop
from vmlab.timing.series import TimingSource
from vmlab.timing.stopwatch import Stopwatch


class _Host:
    """Guests that run now, and those that ran during each measurement."""

    def __init__(self) -> None:
        self.running = {"first", "second"}
        self.timed: list[set[str]] = []

    def guest(self, name: str) -> Timed:
        program = FakeProgram()

        def root(command: str, *, timeout_s: float | None = None) -> Completed:
            self.timed.append(set(self.running))
            return program.root(command)

        def execute(command: str) -> None:
            (self.running.add if command == "cont" else self.running.discard)(name)

        machine = SimpleNamespace(monitor=SimpleNamespace(execute=execute))
        watch = Stopwatch(guest=SimpleNamespace(root=root), program="/tmp/stopwatch", source=TimingSource.CLOCK)
        return cast("Timed", SimpleNamespace(running=SimpleNamespace(machine=machine), stopwatch=watch))


def test_only_the_one_that_is_timed_runs_and_both_run_afterwards() -> None:
    host = _Host()
    first, second = host.guest("first"), host.guest("second")
    taken = in_turns(first, second, Loop(100))
    assert [len(measured.samples) for measured in taken] == [SAMPLES, SAMPLES]
    assert all(len(running) == 1 for running in host.timed)
    assert host.timed.count({"first"}) == host.timed.count({"second"}) == len(host.timed) // 2
    assert host.running == {"first", "second"}
    starters = [running for running, _ in zip(host.timed[::2], host.timed[1::2], strict=True)]
    assert {"first"} in starters
    assert {"second"} in starters, "the one that goes first is drawn by lot"


def test_what_was_taken_in_turns_can_be_judged() -> None:
    host = _Host()
    first, second = host.guest("first"), host.guest("second")
    taken = in_turns(first, second, Loop(1000), Loop(1200))
    sides = [
        timed.stopwatch.series("loop", {1: measured}, interleaving="x")
        for timed, measured in zip((first, second), taken, strict=True)
    ]
    assert compare(sides[0], sides[1]).verdict is Verdict.SLOWER
    assert compare(sides[0], sides[0]).verdict is Verdict.SAME
