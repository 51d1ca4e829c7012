# SPDX-License-Identifier: MIT
"""Cost of a read by n and by part, with the best available timing source."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from vmlab.module.build import Built
from vmlab.timing.operation import Parts, Read
from vmlab.timing.series import Series
from vmlab.timing.stopwatch import Measurement, Stopwatch

from .oracle import fibonacci

Keep = Callable[[str, Mapping[int, Measurement]], Series]

DEVICE = "/dev/fibonacci"
# FIBDRV_IOC_STATS of uapi/fibdrv.h: _IOR(0xfb, 3, struct fibdrv_stats), and the offsets of its times.
STATS = Parts(request=0x8038FB03, size=56, offsets={"compute": 24, "format": 32, "copy": 40})
BATCHES = {10: 100, 100: 100, 1_000: 100, 10_000: 30, 100_000: 10}


def _read(n: int, parts: Parts | None = None) -> Read:
    return Read(path=DEVICE, offset=n, size=len(str(fibonacci(n))) + 1, parts=parts)


@pytest.fixture(autouse=True)
def in_the_guest(loaded_module: Built) -> None:
    """Load the module in the guest that the stopwatch measures."""


def test_cost_of_a_read_against_n_is_recorded(stopwatch: Stopwatch, series: Keep) -> None:
    taken = {n: stopwatch.measure(_read(n), batches=batches) for n, batches in BATCHES.items()}
    kept = series("fibdrv read", taken)
    assert [len(point.samples) for point in kept.points] == list(BATCHES.values())
    assert all(measured.minimum > 0 for measured in taken.values())
    # A number ten times as long takes longer with any working timing source.
    assert taken[100_000].best > 10 * taken[1_000].best


def test_parts_of_a_read_add_up_to_less_than_the_whole(stopwatch: Stopwatch) -> None:
    for n in (1_000, 10_000):
        measured = stopwatch.measure(_read(n, STATS), batches=20)
        assert min(measured.parts["compute"]) > 0
        assert min(measured.parts["format"]) > 0
        if "rest" in measured.parts:
            # The rest is the system call's time; parts longer than the whole are a driver bug. The stopwatch's clock is
            # not adjusted, the driver's may be, by at most 500 ppm.
            assert all(
                rest >= -0.0005 * whole for rest, whole in zip(measured.parts["rest"], measured.samples, strict=True)
            )


@pytest.mark.timing("icount", "emulated-pmu")
def test_same_read_costs_the_same_instructions_every_time(stopwatch: Stopwatch) -> None:
    first, second = (stopwatch.measure(_read(1_000), batches=200).best for _ in range(2))
    assert first == pytest.approx(second, rel=20e-6)
