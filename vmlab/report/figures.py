# SPDX-License-Identifier: MIT
"""How figures are written, the same in every table and picture."""

from __future__ import annotations

from vmlab.timing.series import Point, Series, TimingSource, Unit


def figure(value: float) -> str:
    """A cost: whole and in thousands where it is large, four digits where it is small."""
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:,.1f}".removesuffix(".0")
    return f"{value:.4g}"


def signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{figure(value)}"


def percent(ratio: float, *, digits: int = 1) -> str:
    """A ratio as a change: 1.2 is `+20.0 %`."""
    change = round((ratio - 1) * 100, digits)
    return f"{change or 0.0:+,.{digits}f} %"


def unit_words(source: str, unit: str) -> str:
    """What a figure counts and what counted it: a nanosecond of icount is called what it is."""
    return f"{Unit.INSTRUCTIONS if source == TimingSource.ICOUNT else unit} ({source})"


def cost(series: Series, point: Point) -> float:
    """The figure that stands for a point: the steady one of an exact source, the median of any other."""
    return point.steady if series.source.is_exact else point.median


def printable(text: str) -> str:
    """A name without what would steer a terminal, and what XML 1.0 has no place for, not even escaped."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
