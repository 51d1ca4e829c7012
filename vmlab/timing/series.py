# SPDX-License-Identifier: MIT
"""Measurements that a run records, each with its timing source."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vmlab.provenance import Provenance


class TimingSource(StrEnum):
    """Source of a measured cost, in order of preference; every figure has one."""

    PMU = "pmu"
    """The processor's own counters, passed through by KVM and proved to count in the guest."""
    EMULATED_PMU = "emulated-pmu"
    """The PMUv3 that QEMU emulates for arm64 under `-icount`: instructions are exact, cycles are those instructions."""
    ICOUNT = "icount"
    """QEMU's virtual clock under `-icount shift=0,sleep=off`: one instruction is one nanosecond of guest time."""
    CLOCK = "clock"
    """Elapsed time by the guest's CLOCK_MONOTONIC_RAW, which includes the host's other load."""

    @property
    def is_exact(self) -> bool:
        """True if the same work gives the same count every time."""
        return self in (TimingSource.EMULATED_PMU, TimingSource.ICOUNT)


class Unit(StrEnum):
    """Unit of a sample, per operation."""

    NS = "ns"
    INSTRUCTIONS = "instructions"
    CYCLES = "cycles"


def majority(samples: Sequence[float]) -> float | None:
    """Return the value that more than half of the samples have; None if there is none."""
    figure, times = Counter(samples).most_common(1)[0]
    return figure if 2 * times > len(samples) else None


def least(samples: Sequence[float]) -> float:
    """Return the least value that is not an outlier: one sample in forty may be lower.

    Reads of fibdrv on arm64 gave their least value in 7 to 17 of 100 batches.
    """
    return sorted(samples)[len(samples) // 40]


def steady(samples: Sequence[float]) -> float:
    """Return the repeatable cost: the value of most samples, else the least that is not an outlier.

    Exact counts take a few values only. On amd64 a read of fibdrv gives one value in eight of ten batches. In 3 to 8
    of 100 batches the memory cgroup's accounting skips some instructions because its sum of bytes is zero
    (mod_objcg_state() in mm/memcontrol.c), so the minimum depends on chance.
    """
    most = majority(samples)
    return least(samples) if most is None else most


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Repeated measurements at one size."""

    n: int
    samples: tuple[float, ...]
    """Cost of one operation per batch, without the measuring overhead, in the order they were taken."""

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
    """Identifier shared by series measured in turns, with sample i of one next to sample i of the other."""
