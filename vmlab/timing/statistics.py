# SPDX-License-Identifier: MIT
"""Statistics for verdicts: the same samples give the same figures every time.

Uses only the standard library. Everything is based on ranks or quantiles, because the noise of a shared host has no
useful variance: a single burst must not change a figure.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.99
"""Share of intervals that contain the true median ratio."""
_RESAMPLES = 4000  # twenty of them lie beyond each end of the interval
_SEED = 20201


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A range, including both ends."""

    low: float
    high: float

    def is_within(self, other: Interval) -> bool:
        return other.low <= self.low and self.high <= other.high

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def quartiles(samples: Sequence[float]) -> Interval:
    """Return the first and third quartile, the spread that reports show.

    A single sample is both quartiles.
    """
    if len(samples) == 1:
        return Interval(low=samples[0], high=samples[0])
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Interval(low=low, high=high)


def log_ratios(before: Sequence[float], after: Sequence[float]) -> list[float]:
    """Return the logarithm of after / before for each pair; both must be above zero and of equal length."""
    return [math.log(new) - math.log(old) for old, new in zip(before, after, strict=True)]


def median_interval(values: Sequence[float]) -> Interval:
    """Return the percentile bootstrap interval of the median at `CONFIDENCE`; costs 40 ms for 30 values.

    The generator starts from a fixed seed, so the same values give the same interval. See Efron and Tibshirani, An
    Introduction to the Bootstrap, chapter 13.
    """
    generator = random.Random(_SEED)
    size = len(values)
    medians = sorted(statistics.median(generator.choices(values, k=size)) for _ in range(_RESAMPLES))
    beyond = round(_RESAMPLES * (1 - CONFIDENCE) / 2)
    return Interval(low=medians[beyond - 1], high=medians[-beyond])


def sign_flip_p(values: Sequence[float]) -> float:
    """Return p: the probability of values at least as one-sided as these if each sign were random.

    A two-sided sign-flip permutation test with ranks as scores (Wilcoxon's signed ranks): a burst counts as the
    largest rank, whatever its size. All 2^n flips are counted, without sampling, so p is exact. Zeros keep their ranks
    but have no sign (Pratt, 1959); ties share their ranks. Costs 20 ms for 60 values, eight times as much for 120.
    """
    ranks = _doubled_ranks([abs(value) for value in values])
    signed = [rank if value > 0 else -rank for rank, value in zip(ranks, values, strict=True) if value != 0]
    if not signed:
        return 1.0
    seen = abs(sum(signed))
    return _flips_beyond([abs(rank) for rank in signed], seen) / (1 << len(signed))


def fewest_pairs(level: float) -> int:
    """Return the number of pairs with which p can be below a level: if all have one sign, p = 2 / 2^n."""
    return max(2, math.floor(1 - math.log2(level)) + 1)


def _doubled_ranks(sizes: Sequence[float]) -> list[int]:
    """Return twice the rank of each size, which is an integer even for tied ranks."""
    ordered = sorted(sizes)
    first = {size: number for number, size in reversed(list(enumerate(ordered, start=1)))}
    last = {size: number for number, size in enumerate(ordered, start=1)}
    return [first[size] + last[size] for size in sizes]


def _flips_beyond(ranks: Sequence[int], seen: int) -> int:
    """Count the choices of signs for these ranks whose sum is at least as far from zero as `seen`."""
    whole = sum(ranks)
    # ways[s]: number of choices in which the positive ranks have the sum s.
    ways = [1] + [0] * whole
    reached = 0
    for rank in ranks:
        reached += rank
        for total in range(reached, rank - 1, -1):
            ways[total] += ways[total - rank]
    return sum(count for total, count in enumerate(ways) if abs(2 * total - whole) >= seen)
