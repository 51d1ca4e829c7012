# SPDX-License-Identifier: MIT
"""The limits of watching a kernel: how fast a log is judged, and what looking at it costs a test."""

from __future__ import annotations

import statistics
import time

from forks import new_forks
from rows import Limit, Measured

from vmlab.guest.kernel_log import parse_console
from vmlab.guest.splat import find_reports
from vmlab.guest.watch import KernelWatch

_MIB = 2**20
_TIMES = 20
_LINES = {
    "quiet": "systemd[1]: Started something or other that goes on for a while.",
    "reports": "WARNING: CPU: 0 PID: 94 at mm/page_alloc.c:5634 f+0x1b/0x40 [fibdrv]",
    "near misses": "no BUG: only a word, nor is Oops: one, or list_add, or rcu: stall",
    "frames": " fib_read+0x1b/0x40 [fibdrv]",
    "short": "BUG: x",
}


def _classifier() -> Measured:
    figures = {}
    for name, line in _LINES.items():
        count = _MIB // (len(line) + 16)
        records = parse_console("\n".join(f"[{number / 1000:12.6f}] {line}" for number in range(count)))
        started = time.perf_counter()
        find_reports(records)
        figures[name] = (time.perf_counter() - started) * 1000
    return Measured(value=max(figures.values()), conditions={name: f"{ms:.0f} ms" for name, ms in figures.items()})


def _looking() -> Measured:
    with new_forks() as forks:
        target = forks.lab.matrix.select("debian12-6.1")[0]
        with forks.fork(target) as running:
            figures = []
            for number in range(_TIMES):
                started = time.perf_counter()
                watch = KernelWatch(running.guest)
                watch.begin(f"test_{number}")
                watch.end()
                figures.append((time.perf_counter() - started) * 1000)
            accelerator = forks.lab.facts[target.id].provenance.accelerator
    return Measured(value=statistics.median(figures), conditions={"of": str(_TIMES), "accelerator": accelerator})


LIMITS = (
    Limit(name="trouble: judging 1 MiB of log, the slowest of five kinds", limit=50, unit="ms", measure=_classifier),
    Limit(name="trouble: looking at a test's kernel", limit=100, unit="ms", measure=_looking),
)
