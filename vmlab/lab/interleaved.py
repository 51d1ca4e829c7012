# SPDX-License-Identifier: MIT
"""Interleaved timing of two modules: two guests of one target run in turns, so both see the same load on the host."""

from __future__ import annotations

import contextlib
import dataclasses
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from vmlab.catalogue.target import Target
from vmlab.errors import UsageError
from vmlab.host.exclusive import alone
from vmlab.lab.freezer import Stage
from vmlab.lab.lab import Lab
from vmlab.lab.timed import Timed, fork_timed
from vmlab.timing.compare import ROUNDS, TURNS_A_ROUND
from vmlab.timing.operation import Operation
from vmlab.timing.series import Series
from vmlab.timing.stopwatch import BATCHES, Measurement, new_interleaving

At = Callable[[int], Operation]
"""Function that returns the operation for a size."""


def time_both(
    lab: Lab, modules: tuple[Path, Path], target: Target, name: str, at: At, sizes: Sequence[int]
) -> tuple[Series, Series]:
    """Time two modules on a target with the timing source from the lab's settings; returns a series for each.

    An exact source measures one after the other, any other source in turns. No other test of the lab runs on the host
    meanwhile. Raises `UsageError` if the two use different sources. Costs two forks, with missing builds, boots and
    snapshots, and for a source in turns about 10 s per size.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            alone(on_wait=lambda: lab.context.progress(f"{target.id}: waiting for other guests' tests to end"))
        )
        first, second = (stack.enter_context(_timed(lab, module, target)) for module in modules)
        if first.stopwatch.source is not second.stopwatch.source:
            raise UsageError(
                f"the first is timed with {first.stopwatch.source}, the second with {second.stopwatch.source}",
                hint=f"--vmlab-timing {second.stopwatch.source}",
            )
        is_exact = first.stopwatch.source.is_exact
        interleaving = "" if is_exact else new_interleaving()
        taken: tuple[dict[int, Measurement], dict[int, Measurement]] = ({}, {})
        for n in sizes:
            lab.context.progress(f"{target.id}: timing {name} at {n}")
            both = _each(first, second, at(n)) if is_exact else in_turns(first, second, at(n))
            for side, measured in zip(taken, both, strict=True):
                side[n] = measured
        return (
            first.stopwatch.series(name, taken[0], interleaving=interleaving),
            second.stopwatch.series(name, taken[1], interleaving=interleaving),
        )


def in_turns(
    first: Timed, second: Timed, operation: Operation, other: Operation | None = None, *, iterations: int = 1
) -> tuple[Measurement, Measurement]:
    """Time an operation in two guests in turns. Each round times a few batches in each guest, in random order, with the
    other guest stopped. `other` is the second guest's operation, if it differs."""
    sides = (first, second)
    operations = (operation, other or operation)
    rounds: tuple[list[Measurement], list[Measurement]] = ([], [])
    lot = random.Random(0)
    with _standing_still(*sides):
        for _ in range(ROUNDS):
            for side in lot.sample((0, 1), 2):
                with _running(sides[side]):
                    watch = sides[side].stopwatch
                    rounds[side].append(
                        watch.measure(operations[side], batches=TURNS_A_ROUND, iterations=iterations, warmup=1)
                    )
    return _joined(rounds[0]), _joined(rounds[1])


@contextlib.contextmanager
def _timed(lab: Lab, module: Path, target: Target) -> Iterator[Timed]:
    theirs = Lab(
        dataclasses.replace(lab.settings, module=module), progress=lab.context.progress, notice=lab.context.notice
    )
    with fork_timed(theirs, target, Stage.LOADED) as timed:
        yield timed


def _each(first: Timed, second: Timed, operation: Operation) -> tuple[Measurement, Measurement]:
    with _standing_still(first, second):
        taken = []
        for timed in (first, second):
            with _running(timed):
                taken.append(timed.stopwatch.measure(operation, batches=BATCHES))
    return taken[0], taken[1]


@contextlib.contextmanager
def _standing_still(*guests: Timed) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for timed in guests:
            timed.running.machine.monitor.execute("stop")
            stack.callback(timed.running.machine.monitor.execute, "cont")
        yield


@contextlib.contextmanager
def _running(timed: Timed) -> Iterator[None]:
    monitor = timed.running.machine.monitor
    monitor.execute("cont")
    try:
        yield
    finally:
        monitor.execute("stop")


def _joined(rounds: Sequence[Measurement]) -> Measurement:
    return dataclasses.replace(
        rounds[0],
        samples=tuple(sample for taken in rounds for sample in taken.samples),
        switches=sum(taken.switches for taken in rounds),
        steal_ticks=sum(taken.steal_ticks for taken in rounds),
    )
