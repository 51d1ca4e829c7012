# SPDX-License-Identifier: MIT
"""Load of this host by other work, which disturbs timing."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SAMPLE_S = 0.5
_LEAST_FREE = 0.8
"""Processors that must be free for timing by the clock: one for the guest, minus the background load of a desktop."""


def busy_processors(*, sample_s: float = _SAMPLE_S, stat: Path = Path("/proc/stat")) -> float:
    """Number of processors that are busy now; takes `sample_s` seconds (proc(5), the `cpu` line)."""
    busy, total = _ticks(stat)
    time.sleep(sample_s)
    busy_then, total_then = _ticks(stat)
    passed = total_then - total
    return (busy_then - busy) / passed * (os.cpu_count() or 1) if passed > 0 else 0.0


def too_busy(busy: float, processors: int) -> str:
    """Return the reason why the host is too busy for timing by the clock; empty when it is not."""
    free = processors - busy
    if free >= _LEAST_FREE:
        return ""
    return f"the host is busy: other work uses {busy:.1f} of its {processors} processors and distorts clock timing"


def _ticks(stat: Path) -> tuple[int, int]:
    fields = [int(word) for word in stat.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)
