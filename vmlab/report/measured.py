# SPDX-License-Identifier: MIT
"""The figures that a run recorded, a line for each series, below its table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vmlab.report.figures import cost, figure, printable, unit_words
from vmlab.timing.series import Series

_MOST_SERIES = 6
"""The most lines for one target: a summary is read, and `vmlab series` lists all."""
_MOST_POINTS = 5


def measured_lines(series: Sequence[Series], *, report: str) -> list[str]:
    """Cost by size for each series, grouped by target; no line when nothing was recorded.

    `report` is what `vmlab series` and `vmlab plot` are to be given.
    """
    by_target: dict[str, list[Series]] = {}
    for row in series:
        if row.points:
            by_target.setdefault(row.target, []).append(row)
    lines = []
    for target, rows in by_target.items():
        lines += [f"{target}: {_words(row)}" for row in rows[:_MOST_SERIES]]
        if len(rows) > _MOST_SERIES:
            lines.append(f"{target}: and {len(rows) - _MOST_SERIES} more series")
    return [*lines, f"figures: vmlab series {report}, vmlab plot {report}"] if lines else []


def shown_path(path: Path) -> str:
    """A path as a person here would type it: relative to the working directory where it lies below that."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _words(row: Series) -> str:
    points = sorted(row.points, key=lambda point: point.n)
    costs = [f"{figure(cost(row, point))} at n={point.n}" for point in points]
    if len(costs) > _MOST_POINTS:
        costs = [*costs[: _MOST_POINTS - 1], f"… {costs[-1]}"]
    return f"{printable(row.name)}, {unit_words(row.source, row.unit)} per operation: {', '.join(costs)}"
