# SPDX-License-Identifier: MIT
"""Series to compare, and samples like those of a shared host."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from vmlab.provenance import Provenance
from vmlab.timing.compare import SAMPLES
from vmlab.timing.document import SeriesDocument
from vmlab.timing.series import Point, Series, TimingSource, Unit


def provenance(**changes: str) -> Provenance:
    fields: dict[str, Any] = {
        "release": "6.1.0-56-cloud-amd64",
        "compiler": "gcc-12",
        "accelerator": "tcg",
        "qemu": "7.2.22",
    }
    return Provenance(
        **(fields | {"cpu_model": "max", "boot": "b0"} | changes),
        kernel_package="6.1.170-1",
        image="0" * 20,
        accelerator_reason="there is no /dev/kvm",
        cpus=2,
        memory_mib=1024,
        timing_source="clock",
    )


def series(
    points: Mapping[int, Sequence[float]] | Sequence[float],
    *,
    source: TimingSource = TimingSource.CLOCK,
    unit: Unit | None = None,
    name: str = "fib",
    target: str = "debian12-6.1",
    known: Provenance | None = None,
    interleaving: str = "",
) -> Series:
    """A series of these samples by n, or of one size, 92."""
    sizes = points if isinstance(points, Mapping) else {92: points}
    return Series(
        name=name,
        target=target,
        source=source,
        unit=unit or (Unit.NS if source is TimingSource.CLOCK else Unit.INSTRUCTIONS),
        points=tuple(Point(n=n, samples=tuple(samples)) for n, samples in sizes.items()),
        provenance=known or provenance(),
        interleaving=interleaving,
    )


def turns(
    *, slowdown: float = 1.0, noise: float = 0.05, seed: int = 1, count: int = SAMPLES
) -> tuple[list[float], list[float]]:
    """Samples of two sides with noisy work; one side takes `slowdown` times as long."""
    rng = random.Random(seed)
    sides = [[1000 * factor * math.exp(abs(rng.gauss(0, noise))) for _ in range(count)] for factor in (1, slowdown)]
    return sides[0], sides[1]


def document(*rows: Series, host: dict[str, str] | None = None, vmlab: str = "0.1.0") -> SeriesDocument:
    return SeriesDocument(
        vmlab=vmlab,
        date="2026-11-23T02:00:00+00:00",
        host={"processor": "EPYC"} if host is None else host,
        series=rows,
    )
