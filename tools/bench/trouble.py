# SPDX-License-Identifier: MIT
"""Limit of watching a kernel: the cost per test."""

from __future__ import annotations

import statistics
import time

from forks import new_lab
from rows import Limit, Measured

from vmlab.guest.watch import KernelWatch

_TIMES = 20


def _looking() -> Measured:
    with new_lab() as lab:
        target = lab.matrix.select("debian12-6.1")[0]
        with lab.testbed(target).fork() as running:
            figures = []
            for number in range(_TIMES):
                started = time.perf_counter()
                watch = KernelWatch(running.guest)
                watch.begin(f"test_{number}")
                watch.end()
                figures.append((time.perf_counter() - started) * 1000)
            accelerator = lab.testbed(target).rig.provenance.accelerator
    return Measured(value=statistics.median(figures), conditions={"of": str(_TIMES), "accelerator": accelerator})


LIMITS = (Limit(name="trouble: looking at a test's kernel", limit=100, unit="ms", measure=_looking),)
