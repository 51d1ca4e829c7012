# SPDX-License-Identifier: MIT
"""Measurements that a run records, each with the source that they came from."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vmlab.provenance import Provenance


class TimingSource(StrEnum):
    """What counted the cost, from the best to the last resort; every figure carries one."""

    PMU = "pmu"
    """The processor's own counters, passed through by KVM and proved to count in the guest."""
    EMULATED_PMU = "emulated-pmu"
    """The PMUv3 that QEMU emulates for arm64 under `-icount`: instructions are exact, cycles are those instructions."""
    ICOUNT = "icount"
    """QEMU's virtual clock under `-icount shift=0,sleep=off`: an instruction is a nanosecond of the guest's."""
    CLOCK = "clock"
    """Elapsed time by the guest's CLOCK_MONOTONIC_RAW: whatever else the host does is in it."""

    @property
    def is_exact(self) -> bool:
        """Whether the same work gives the same count every time."""
        return self in (TimingSource.EMULATED_PMU, TimingSource.ICOUNT)


class Unit(StrEnum):
    """What a sample counts, for one operation."""

    NS = "ns"
    INSTRUCTIONS = "instructions"
    CYCLES = "cycles"


def majority(samples: Sequence[float]) -> float | None:
    """The figure that more than half of the samples give; None when there is no such one."""
    figure, times = Counter(samples).most_common(1)[0]
    return figure if 2 * times > len(samples) else None


def least(samples: Sequence[float]) -> float:
    """The least figure that is no rarity: one sample in forty may lie below it.

    Reads of fibdrv on arm64 gave the least of theirs in 7 to 17 batches of a hundred.
    """
    return sorted(samples)[len(samples) // 40]


def steady(samples: Sequence[float]) -> float:
    """What the same work costs every time: what most samples say, or else the least that is no rarity.

    Where counts are exact the batches give the same few figures. On amd64 a read of fibdrv gives one of them in eight
    batches of ten. A few find a shorter way: the memory cgroup's accounting skips some instructions when its sum of
    bytes happens to be zero (mod_objcg_state() in mm/memcontrol.c), in 3 to 8 of a hundred as it was last measured, so
    the minimum is a figure of luck.
    """
    most = majority(samples)
    return least(samples) if most is None else most


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Repeated measurements at one size."""

    n: int
    samples: tuple[float, ...]
    """A batch's cost for one operation each, what measuring costs taken off, in the order they were taken."""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def minimum(self) -> float:
        return min(self.samples)

    @property
    def steady(self) -> float:
        return steady(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Cost against size on one target."""

    name: str
    target: str
    source: TimingSource
    unit: Unit
    points: tuple[Point, ...]
    provenance: Provenance | None = None
    interleaving: str = ""
    """The same word for series whose samples were taken in turns: sample i of one beside sample i of the other."""
