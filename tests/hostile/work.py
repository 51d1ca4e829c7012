# SPDX-License-Identifier: MIT
"""Measures of the work that an attack causes."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from collections.abc import Callable, Iterator

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


@contextlib.contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the largest memory of Python objects in the `with` block so far, in MiB."""
    tracemalloc.start()
    try:
        yield lambda: tracemalloc.get_traced_memory()[1] >> 20
    finally:
        tracemalloc.stop()
