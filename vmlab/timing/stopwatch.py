# SPDX-License-Identifier: MIT
"""The stopwatch: a small C program times operations inside a guest and returns raw samples."""

from __future__ import annotations

import secrets
import shlex
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from vmlab.errors import GuestError, HostError, hides_frames
from vmlab.guest.transport import Completed
from vmlab.provenance import Provenance
from vmlab.reason.command import last_words
from vmlab.timing.operation import Operation, Parts
from vmlab.timing.series import Point, Series, TimingSource, Unit, steady

__tracebackhide__ = hides_frames

PROGRAM = Path(__file__).parent / "program" / "stopwatch.c"
BATCHES = 100
WARMUP = 10
_NO_COUNTER = 4
_MOST_FACTS = 1000
_LARGEST = 10**18
"""Maximum of a figure: 30 years in nanoseconds, and what a float holds to the unit. A guest may print any number."""
_COUNTERS = {
    TimingSource.PMU: ("instructions", Unit.INSTRUCTIONS),
    TimingSource.EMULATED_PMU: ("instructions", Unit.INSTRUCTIONS),
    TimingSource.ICOUNT: ("tsc", Unit.INSTRUCTIONS),
    TimingSource.CLOCK: ("clock", Unit.NS),
}


class CounterUnusable(HostError):
    """The counter is not available, or does not count all the time, so it gives no figure."""


class Asked(Protocol):
    """The part of a guest that a stopwatch needs."""

    def root(self, command: str, *, timeout_s: float | None = None) -> Completed: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Parsed output of the program."""

    costs: tuple[int, ...]
    """Cost of each batch."""
    nulls: tuple[int, ...]
    """Costs of empty batches."""
    switches: int
    """Number of involuntary context switches."""
    steal_ticks: int
    parts: tuple[tuple[int, ...], ...]
    facts: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Cost of one operation: one sample per batch, without the measuring overhead."""

    source: TimingSource
    unit: Unit
    samples: tuple[float, ...]
    overhead: float
    """Cost of an empty batch, the least of several."""
    iterations: int
    switches: int
    steal_ticks: int
    parts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Parts of each sample as the device reports them, in nanoseconds. If the sample is a time too, `rest` is the
    remainder for the system call."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Other facts from the program, such as the processor's CPUID leaves about its counters."""

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def best(self) -> float:
        """The representative figure: the steady count of an exact source, else the median."""
        return steady(self.samples) if self.source.is_exact else self.median

    def point(self, n: int) -> Point:
        return Point(n=n, samples=self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopwatch:
    """A timing source in a guest, proved there."""

    guest: Asked
    program: str
    """Path of the compiled program in the guest."""
    source: TimingSource
    proof: str = ""
    """The fact that proved the source."""
    target: str = ""
    provenance: Provenance | None = None

    def measure(
        self,
        operation: Operation,
        *,
        batches: int = BATCHES,
        iterations: int = 1,
        warmup: int = WARMUP,
        counter: str = "",
        timeout_s: float | None = None,
    ) -> Measurement:
        """Time an operation as root: `batches` samples, each of `iterations` operations, after `warmup` batches.

        `counter` replaces the source's counter: for the PMU `cycles`, or `instructions:u` for user space only. Raises
        `GuestError` if the operation fails and `CounterUnusable` if the counter fails. Costs a command in the guest and
        the operation's time.
        """
        name, unit = _COUNTERS[self.source]
        if counter:
            unit = Unit.CYCLES if counter.startswith("cycles") else unit
        parts = operation.parts
        if parts is not None and iterations != 1:
            raise GuestError("a device reports the parts of its last operation only", hint="use iterations=1")
        words = [
            *(self.program, "-c", counter or name, "-b", str(batches), "-i", str(iterations), "-w", str(warmup)),
            *(parts.words if parts is not None else ()),
            *operation.words,
        ]
        raw = parse(_run(self.guest, words, timeout_s))
        overhead = min(raw.nulls)
        samples = tuple((cost - overhead) / iterations for cost in raw.costs)
        return Measurement(
            source=self.source,
            unit=unit,
            samples=samples,
            overhead=overhead,
            iterations=iterations,
            switches=raw.switches,
            steal_ticks=raw.steal_ticks,
            parts=self._named_parts(parts, raw, samples),
            facts=raw.facts,
        )

    def _named_parts(self, parts: Parts | None, raw: Raw, samples: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
        if parts is None:
            return {}
        if len(raw.parts) != len(samples) or any(len(row) != len(parts.offsets) for row in raw.parts):
            raise GuestError("the stopwatch did not print the parts of every sample")
        named = {name: tuple(float(row[place]) for row in raw.parts) for place, name in enumerate(parts.offsets)}
        if self.source in (TimingSource.ICOUNT, TimingSource.CLOCK):
            named["rest"] = tuple(sample - sum(row) for sample, row in zip(samples, raw.parts, strict=True))
        return named

    def series(self, name: str, measurements: Mapping[int, Measurement], *, interleaving: str = "") -> Series:
        """Return measurements by size as a series with its provenance."""
        units = {taken.unit for taken in measurements.values()}
        if len(units) != 1:
            raise GuestError(f"a series must have one unit, {name!r} has {len(units)}")
        return Series(
            name=name,
            target=self.target,
            source=self.source,
            unit=units.pop(),
            points=tuple(taken.point(n) for n, taken in measurements.items()),
            provenance=self.provenance,
            interleaving=interleaving,
        )


def new_interleaving() -> str:
    """Return a new identifier for series measured in turns."""
    return secrets.token_hex(6)


def parse(text: str) -> Raw:
    """Parse the program's output; raises `GuestError` if it is truncated or malformed."""
    costs: list[int] = []
    nulls: list[int] = []
    parts: list[tuple[int, ...]] = []
    facts: dict[str, str] = {}
    switches = 0
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        raise GuestError("the stopwatch's output is truncated", detail=text[-500:])
    try:
        for line in lines[:-1]:
            word, _, rest = line.partition(" ")
            if word == "sample":
                cost, taken_away = _figures(rest)
                costs.append(cost)
                switches += taken_away
            elif word == "null":
                nulls += _figures(rest)
            elif word == "part":
                parts.append(_figures(rest))
            elif word == "fact" and len(facts) < _MOST_FACTS:
                name, _, value = rest.partition(" ")
                facts[name] = value
            else:
                raise ValueError(line)
        steal_ticks = sum(_figures(facts.get("steal_ticks", "0")))
    except ValueError as error:
        message = f"the stopwatch's output is malformed: {str(error)[:200]}"
        raise GuestError(message, detail=text[-500:]) from None
    if not costs or not nulls:
        raise GuestError("the stopwatch printed no sample", detail=text[-500:])
    return Raw(
        costs=tuple(costs),
        nulls=tuple(nulls),
        switches=switches,
        steal_ticks=steal_ticks,
        parts=tuple(parts),
        facts=facts,
    )


def _figures(text: str) -> tuple[int, ...]:
    figures = tuple(map(int, text.split()))
    if any(abs(figure) > _LARGEST for figure in figures):
        raise ValueError(f"a figure is larger than {_LARGEST}")
    return figures


def _run(guest: Asked, words: list[str], timeout_s: float | None) -> str:
    done = guest.root(shlex.join(words), timeout_s=timeout_s)
    if done.ok:
        return done.stdout
    reason = last_words(done.stderr, done.stdout) or f"status {done.status}"
    if done.status == _NO_COUNTER:
        raise CounterUnusable(reason.removeprefix("counter: "), hint="--vmlab-timing auto takes the best source")
    raise GuestError(f"the operation cannot be timed: {reason}", detail="" if done.stderr else done.stdout[-500:])
