# SPDX-License-Identifier: MIT
"""Which series share a picture: the same thing on several kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vmlab.errors import UsageError, nearest
from vmlab.report.figures import cost, unit_words
from vmlab.timing.series import Series
from vmlab.timing.statistics import Interval, quartiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A point of a line."""

    n: int
    cost: float
    spread: Interval | None
    """The quartiles of the samples, where the source is not exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A kernel's costs, by n."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Lines that share their axes."""

    title: str
    x_title: str
    y_title: str
    lines: tuple[Line, ...]


def pictures_of(series: Sequence[Series], *, name: str | None = None) -> list[Picture]:
    """A picture for each name, source and unit, in the order in which they were recorded.

    `name` chooses one; `UsageError` when no series is called so, or none has a point.
    """
    known = {row.name: None for row in series}
    if name is not None and name not in known:
        raise UsageError(f"no series is called {name!r}", hint=nearest(name, known))
    chosen = [row for row in series if row.points and name in (None, row.name)]
    if not chosen:
        raise UsageError("there is nothing to plot: no series has a point")
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
