# SPDX-License-Identifier: MIT
"""What a read costs against n, recorded with its timing source; the clock of an emulated guest is no judge."""

from __future__ import annotations

from collections.abc import Callable

from vmlab.target import Target
from vmlab.timing.series import Point, Series, TimingSource, Unit

from .probe import Probe

REPEATS = {10: 20, 100: 20, 1_000: 20, 10_000: 10, 100_000: 5}
PARTS = ("fibdrv read", "fibdrv compute", "fibdrv format", "fibdrv copy")


def test_time_of_a_read_against_n_is_recorded(
    probe: Probe, target: Target, record_series: Callable[[Series], None]
) -> None:
    taken = probe.times(REPEATS.items())
    assert {n: len(samples) for n, samples in taken.items()} == REPEATS
    for number, name in enumerate(PARTS):
        points = tuple(Point(n=n, samples=tuple(float(row[number]) for row in rows)) for n, rows in taken.items())
        record_series(Series(name=name, target=target.id, source=TimingSource.CLOCK, unit=Unit.NS, points=points))
    for n, rows in taken.items():
        for total, *parts in rows:
            assert total > 0
            assert min(parts) >= 0
            # Two clocks: the program's is never steered, the driver's may be, by 500 ppm at most.
            assert sum(parts) <= total * 1.0005, f"the parts of a read of F({n}) take longer than the whole"
