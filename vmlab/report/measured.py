# SPDX-License-Identifier: MIT
"""The figures that a run recorded, one line per series, below its table."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vmlab.report.figures import cost, figure, unit_words
from vmlab.text import printable
from vmlab.timing.series import Series

_MOST_SERIES = 6
"""Maximum number of lines per target in the summary; `vmlab series` lists all series."""
_MOST_POINTS = 5


def measured_lines(series: Sequence[Series], *, report: str) -> list[str]:
    """Return the costs by size of each series, grouped by target; empty if nothing was recorded.

    `report` is the argument for the `vmlab series` and `vmlab plot` commands that the last line shows.
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
    """Return a path quoted for the shell, relative to the working directory if it is below that."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _words(row: Series) -> str:
    points = sorted(row.points, key=lambda point: point.n)
    costs = [f"{figure(cost(row, point))} at n={point.n}" for point in points]
    if len(costs) > _MOST_POINTS:
        costs = [*costs[: _MOST_POINTS - 1], f"… {costs[-1]}"]
    return f"{printable(row.name)}, {unit_words(row.source, row.unit)} per operation: {', '.join(costs)}"
