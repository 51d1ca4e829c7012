# SPDX-License-Identifier: MIT
"""How busy this host is with other things than what is to be timed."""

from __future__ import annotations

import os
import time
from pathlib import Path

_SAMPLE_S = 0.5
_LEAST_FREE = 0.8
"""Processors that must be free before a clock is believed: one for the guest's, less what a desktop does anyway."""


def busy_processors(*, sample_s: float = _SAMPLE_S, stat: Path = Path("/proc/stat")) -> float:
    """How many processors' worth of work the host does now; takes `sample_s` (proc(5), the `cpu` line)."""
    busy, total = _ticks(stat)
    time.sleep(sample_s)
    busy_then, total_then = _ticks(stat)
    passed = total_then - total
    return (busy_then - busy) / passed * (os.cpu_count() or 1) if passed > 0 else 0.0


def too_busy(busy: float, processors: int) -> str:
    """Why elapsed time means nothing on a host that is this busy; empty when it may."""
    free = processors - busy
    if free >= _LEAST_FREE:
        return ""
    return f"the host is busy: other work takes {busy:.1f} of its {processors} processors, and a clock counts that too"


def _ticks(stat: Path) -> tuple[int, int]:
    fields = [int(word) for word in stat.read_text(encoding="ascii").splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    return sum(fields) - idle, sum(fields)
