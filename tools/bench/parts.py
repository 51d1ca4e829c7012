# SPDX-License-Identifier: MIT
"""Time that each part of fibdrv's arithmetic takes, relative to the time without that part.

A part stays while its row is below the limit. `docs/arithmetic.md` states the figures of the last decision.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from forks import ROOT
from rows import Limit, Measured

_TOOM3_INDICES = (100_000, 200_000, 400_000)
_NTT_INDICES = (1_000_000, 10_000_000)
_PAIR_INDICES = (10_000, 100_000, 1_000_000)
_ROUNDS = 3


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def _fibbench() -> Path:
    """fibbench, with algorithms that can be left out."""
    compiled = Path(_directory().name) / "fibbench"
    source = ROOT / "fibdrv/test/fibbench.c"
    command = ["cc", "-std=gnu11", "-O2", "-DBN_THRESHOLDS_VARY", "-o", str(compiled), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    return compiled


def _costs(*words: str) -> dict[int, float]:
    """Cost in nanoseconds by index."""
    done = subprocess.run([str(_fibbench()), "--own", *words], capture_output=True, text=True, check=True)
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {int(n): float(cost) for _, n, cost in rows}


def _compare(with_it: Sequence[str], without: Sequence[str], indices: Sequence[int]) -> Measured:
    """The best ratio of the minimum times, each of alternating runs; all ratios as conditions."""
    words = list(map(str, indices))
    pairs = [(_costs(*with_it, *words), _costs(*without, *words)) for _ in range(_ROUNDS)]
    ratios = {n: min(own[n] for own, _ in pairs) / min(other[n] for _, other in pairs) for n in indices}
    return Measured(value=min(ratios.values()), conditions={f"F({n})": f"{ratio:.3f}" for n, ratio in ratios.items()})


def toom3() -> Measured:
    """F(n), relative to Karatsuba's algorithm up to where the transform is as fast."""
    return _compare(["fib"], ["--without", "toom3", "fib"], _TOOM3_INDICES)


def ntt() -> Measured:
    """F(n), relative to Toom-3 for all long numbers."""
    return _compare(["fib"], ["--without", "ntt", "fib"], _NTT_INDICES)


def pair() -> Measured:
    """The text of the next number by a kept pair, relative to computing and converting it."""
    return _compare(["next"], ["decimal"], _PAIR_INDICES)


LIMITS = (
    Limit(name="arithmetic toom3", limit=0.95, unit="x the time without", measure=toom3),
    Limit(name="arithmetic ntt", limit=0.6, unit="x the time without", measure=ntt),
    Limit(name="arithmetic pair", limit=0.1, unit="x the time without", measure=pair),
)
