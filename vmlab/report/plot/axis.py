# SPDX-License-Identifier: MIT
"""Axes of a plot: the position of a value between 0 and 1, and the ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_LOG_FROM = 50
"""Ratio of the largest to the least value from which an axis is logarithmic."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A scale from `low` to `high`, linear or logarithmic."""

    low: float
    high: float
    is_log: bool
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Return the position of a value: 0 for `low`, 1 for `high`."""
        if self.is_log:
            low = math.log(self.low)
            return (math.log(value) - low) / (math.log(self.high) - low)
        return (value - self.low) / (self.high - self.low)


def axis_for(values: Sequence[float], *, most_ticks: int = 7, is_beside_log: bool = False) -> Axis:
    """Return an axis for these values: logarithmic if all are above zero and far apart.

    With `is_beside_log` it is also logarithmic if all are above zero, so that a power of n is a straight line. A linear
    axis starts at zero, so that a small difference does not look large. The values must pass `check_series`.
    """
    least, most = min(values), max(values)
    if least > 0 and (is_beside_log or most / least >= _LOG_FROM):
        return _log_axis(least, most, most_ticks)
    low, high = min(0.0, least), max(0.0, most)
    if low == high:
        high = 1.0
    step = _round_step((high - low) / max(1, most_ticks - 1))
    first, last = math.floor(low / step), math.ceil(high / step)
    ticks = tuple(number * step for number in range(first, last + 1))
    return Axis(low=ticks[0], high=ticks[-1], is_log=False, ticks=ticks)


def tick_word(value: float) -> str:
    """Return the label of a tick: 1500 is `1.5k`, 2e6 is `2M`."""
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e15:
        return f"{value:.0e}".replace("e+", "e")
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _log_axis(least: float, most: float, most_ticks: int) -> Axis:
    """Return an axis of whole decades around the values; if there are many, only some have a tick."""
    first = math.floor(math.log10(least))
    last = max(first + 1, math.ceil(math.log10(most)))
    every = math.ceil((last - first) / max(1, most_ticks - 1))
    ticks = tuple(10.0**power for power in range(first, last + 1, every))
    return Axis(low=10.0**first, high=10.0**last, is_log=True, ticks=ticks)


def _round_step(least: float) -> float:
    """Return the next larger of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
