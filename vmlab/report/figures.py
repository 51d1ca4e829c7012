# SPDX-License-Identifier: MIT
"""Formats of figures, the same in every table and plot."""

from __future__ import annotations

from vmlab.timing.series import Point, Series


def figure(value: float) -> str:
    """Format a cost: an integer with thousands separators if large, four digits if small."""
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:.4g}"


def signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{figure(value)}"


def percent(ratio: float, *, digits: int = 1) -> str:
    """Format a ratio as a change: 1.2 is `+20.0 %`."""
    change = round((ratio - 1) * 100, digits)
    return f"{change or 0.0:+,.{digits}f} %"


def unit_words(source: str, unit: str) -> str:
    """Format unit and source of a figure."""
    return f"{unit} ({source})"


def cost(series: Series, point: Point) -> float:
    """Return the figure for a point: the steady count of an exact source, else the median."""
    return point.steady if series.source.is_exact else point.median
