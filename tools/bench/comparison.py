# SPDX-License-Identifier: MIT
"""Limits of clock comparisons on a busy host: no false differences, and slowdowns are found.

Measured once with simulated noise, where the truth is known, and once with a loop on this host.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from rows import Limit, Measured

from vmlab.timing.compare import MARGIN, SAMPLES, Verdict, compare
from vmlab.timing.series import Point, Series, TimingSource, Unit

TRIALS = 50
SLOWDOWN = 1.2
_COST_NS = 1000.0
_LOOPS = 3000  # about 0.2 ms
Turns = tuple[Sequence[float], Sequence[float]]


def heavy_tailed(rng: random.Random) -> Iterator[float]:
    """Excess time of each batch as a factor: one in ten takes 30 % longer, and a few take a hundred times as long."""
    while True:
        yield math.exp(rng.gauss(0, 0.03)) * (1 + (rng.paretovariate(1.2) - 1) * 0.05)


def drifting(rng: random.Random) -> Iterator[float]:
    """A host that becomes 50 % slower over a hundred batches, with random fluctuation."""
    level = 0.0
    while True:
        level += rng.gauss(0.004, 0.02)
        yield math.exp(level + rng.gauss(0, 0.03))


def bursty(rng: random.Random) -> Iterator[float]:
    """A quarter of the time, in bursts of four batches, other processes take a fourth to three fourths of the core."""
    is_busy = False
    while True:
        is_busy ^= rng.random() < (0.25 if is_busy else 0.08)
        yield math.exp(rng.gauss(0, 0.03)) * (rng.uniform(1.3, 4) if is_busy else 1)


def all_at_once(rng: random.Random) -> Iterator[float]:
    """All three kinds of noise combined."""
    for parts in zip(heavy_tailed(rng), drifting(rng), bursty(rng), strict=True):
        yield math.prod(parts)


NOISES: tuple[Callable[[random.Random], Iterator[float]], ...] = (heavy_tailed, drifting, bursty, all_at_once)


def simulated(noise: Iterator[float], *, slowdown: float) -> Turns:
    """Both sides' samples, taken in turns, with the order swapped in every other turn."""
    before: list[float] = []
    after: list[float] = []
    for turn in range(SAMPLES):
        one, other = next(noise), next(noise)
        if turn % 2:
            one, other = other, one
        before.append(one * _COST_NS)
        after.append(other * _COST_NS * slowdown)
    return before, after


def measured(*, slowdown: float) -> Turns:
    """Both sides' samples of a loop on this host, taken in turns."""
    before: list[float] = []
    after: list[float] = []
    for turn in range(SAMPLES):
        sides = [(before, _LOOPS), (after, round(_LOOPS * slowdown))]
        for samples, loops in reversed(sides) if turn % 2 else sides:
            samples.append(_loop_ns(loops))
    return before, after


def _loop_ns(loops: int) -> float:
    total = 0
    started = time.perf_counter_ns()
    for number in range(loops):
        total += number * number
    return float(time.perf_counter_ns() - started)


def verdict(turns: Turns) -> Verdict:
    """The verdict on two sides of one size."""
    before, after = (
        Series(
            name="loop",
            target="host",
            source=TimingSource.CLOCK,
            unit=Unit.NS,
            points=(Point(n=1, samples=tuple(samples)),),
            interleaving="turns",
        )
        for samples in turns
    )
    return compare(before, after).verdict


def simulated_trials(noise: Callable[[random.Random], Iterator[float]], *, slowdown: float) -> list[Verdict]:
    """The verdicts of several trials, each with fresh noise."""
    return [verdict(simulated(noise(random.Random(seed)), slowdown=slowdown)) for seed in range(TRIALS)]


def _worst(*, slowdown: float, wrong: Callable[[Verdict], bool]) -> Measured:
    told = {noise.__name__: simulated_trials(noise, slowdown=slowdown) for noise in NOISES}
    return Measured(
        value=max(sum(map(wrong, verdicts)) for verdicts in told.values()),
        conditions={name: _counted(verdicts) for name, verdicts in told.items()} | _conditions(),
    )


def _here(*, slowdown: float, wrong: Callable[[Verdict], bool]) -> Measured:
    verdicts = [verdict(measured(slowdown=slowdown)) for _ in range(TRIALS)]
    return Measured(value=sum(map(wrong, verdicts)), conditions={"verdicts": _counted(verdicts)} | _conditions())


def _counted(verdicts: Sequence[Verdict]) -> str:
    return ", ".join(f"{verdicts.count(word)} {word}" for word in Verdict if word in verdicts)


def _conditions() -> dict[str, str]:
    return {"samples a side": str(SAMPLES), "margin": f"{MARGIN:.0%}"}


def _is_false(word: Verdict) -> bool:
    return word in (Verdict.FASTER, Verdict.SLOWER)


def _is_missed(word: Verdict) -> bool:
    return word is not Verdict.SLOWER


def _is_denied(word: Verdict) -> bool:
    return word in (Verdict.FASTER, Verdict.SAME)


LIMITS = tuple(
    Limit(
        name=f"comparison.{name}_{where}",
        limit=limit,
        unit=f"of {TRIALS}",
        measure=partial(measure, slowdown=slowdown, wrong=wrong),
    )
    for where, measure in (("simulated", _worst), ("on_this_host", _here))
    for name, limit, slowdown, wrong in (
        ("false_alarms", 0, 1.0, _is_false),
        ("slowdowns_missed", 5, SLOWDOWN, _is_missed),
        ("slowdowns_denied", 0, SLOWDOWN, _is_denied),
    )
)
