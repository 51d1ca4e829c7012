# SPDX-License-Identifier: MIT
"""Measures of the work that an attack causes."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

MOST_RATIO = 9.0
"""Maximum ratio of the times for n and 4n: 4 for linear work, 16 for quadratic."""
_LEAST_S = 0.02
"""Times below this are noise."""


def growth(work: Callable[[int], object], size: int) -> float:
    """Processor time for `4 * size` divided by that for `size`, each the least of three."""
    return max(_LEAST_S, _cost_s(work, 4 * size)) / max(_LEAST_S, _cost_s(work, size))


def _cost_s(work: Callable[[int], object], size: int) -> float:
    costs = []
    for _ in range(3):
        started = time.thread_time()
        work(size)
        costs.append(time.thread_time() - started)
    return min(costs)


def peak_mib() -> int:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
