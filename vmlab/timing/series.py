# SPDX-License-Identifier: MIT
"""Measurements that a run records, each with the source that they came from."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from enum import StrEnum


class TimingSource(StrEnum):
    """What counted the time."""

    CLOCK = "clock"
    """Elapsed time by the guest's CLOCK_MONOTONIC_RAW: under TCG the host's load is in it, so it carries no
    verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Repeated measurements at one size."""

    n: int
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Cost against size on one target."""

    name: str
    target: str
    source: TimingSource
    unit: str
    points: tuple[Point, ...]
