# SPDX-License-Identifier: MIT
"""Rows of the benchmark table: a stated limit and the measured value."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A figure and its measurement conditions."""

    value: float
    conditions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A stated limit: the figure must not exceed it."""

    name: str
    limit: float
    unit: str
    measure: Callable[[], Measured]


def row(limit: Limit, measured: Measured, load_before: float) -> dict[str, object]:
    """A row in the format of build/bench.json."""
    conditions = {
        "load before": f"{load_before:.1f}",
        "load after": f"{os.getloadavg()[0]:.1f}",
        "cores": str(len(os.sched_getaffinity(0))),
    }
    return {
        "name": limit.name,
        "value": round(measured.value, 3),
        "unit": limit.unit,
        "limit": limit.limit,
        "holds": measured.value <= limit.limit,
        "conditions": conditions | measured.conditions,
    }


def broken_row(limit: Limit, why: str) -> dict[str, object]:
    """A row for a failed measurement: its limit does not hold."""
    return {
        "name": limit.name,
        "value": None,
        "unit": limit.unit,
        "limit": limit.limit,
        "holds": False,
        "conditions": {"error": why},
    }
