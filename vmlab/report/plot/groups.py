# SPDX-License-Identifier: MIT
"""Groups of series that share a plot: the same operation on several kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmlab.errors import UsageError, nearest
from vmlab.report.figures import cost, unit_words
from vmlab.timing.series import Series
from vmlab.timing.statistics import Interval, quartiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point on a line."""

    n: int
    cost: float
    spread: Interval | None
    """Quartiles of the samples; None for an exact source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Costs of one kernel, by n."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A plot: lines with common axes."""

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]


def pictures_of(series: Sequence[Series], *, name: str | None = None) -> list[Picture]:
    """Return a plot for each name, source and unit, in the order of the series.

    `name` selects one. Raises `UsageError` for an unknown name, or if no series has a point.
    """
    known = {row.name: None for row in series}
    if name is not None and name not in known:
        raise UsageError(f"unknown series {name!r}", hint=nearest(name, known))
    chosen = [row for row in series if row.points and name in (None, row.name)]
    if not chosen:
        raise UsageError("nothing to plot: no series has a point")
    groups: dict[tuple[str, str], list[Series]] = {}
    for row in chosen:
        groups.setdefault((row.name, unit_words(row.source, row.unit)), []).append(row)
    return [
        Picture(
            title=title,
            x_title="n",
            y_title=f"{words} per operation",
            lines=tuple(Line(name=row.target, marks=_marks(row)) for row in rows),
        )
        for (title, words), rows in groups.items()
    ]


def _marks(series: Series) -> tuple[Mark, ...]:
    points = sorted(series.points, key=lambda point: point.n)
    return tuple(
        Mark(
            n=point.n,
            cost=cost(series, point),
            spread=None if series.source.is_exact else quartiles(point.samples),
        )
        for point in points
    )
