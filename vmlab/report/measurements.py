# SPDX-License-Identifier: MIT
"""Output of `vmlab series` and `vmlab plot`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from vmlab.report.console import Grid, show
from vmlab.report.figures import cost, figure, unit_words
from vmlab.report.plot.groups import pictures_of
from vmlab.report.plot.svg import svg
from vmlab.report.plot.text import can_show_unicode, text_plot
from vmlab.report.pyperf import write_pyperf
from vmlab.system.files import replace_file
from vmlab.system.output import say, warn, write
from vmlab.timing.document import SeriesDocument
from vmlab.timing.statistics import quartiles

_WIDEST_PLOT = 100
_PLOT_ROWS = 16
_MOST_ROWS = 1000
"""Maximum of rows in a table: each takes rich a millisecond."""


_COST = (
    "cost of an exact count: the value of most batches, else the least that is not an outlier; "
    "it may be below the quartiles"
)


def print_series(document: SeriesDocument) -> None:
    """Print a row per series and size: the cost, and the quartiles of its samples."""
    table = Grid()
    table.column("series", "target", "counts")
    table.column("n", "cost", "quartiles", "samples", is_right=True, is_whole=True)
    points = sum(len(row.points) for row in document.series)
    left, is_outside = _MOST_ROWS, False
    for row in document.series:
        head = (row.name, row.target, unit_words(row.source, row.unit))
        shown, left = row.points[:left], max(0, left - len(row.points))
        for point in shown:
            spread = quartiles(point.samples)
            middle = f"{figure(spread.low)} to {figure(spread.high)}"
            is_outside = is_outside or not spread.low <= cost(row, point) <= spread.high
            cells = (*head, str(point.n), figure(cost(row, point)), middle, str(len(point.samples)))
            table.row(*cells)
            head = ("", "", "")
    host = "; ".join(document.host.values()) or "an unknown host"
    more = [(f"and {points - _MOST_ROWS} more sizes: --pyperf OUT writes all",)] if points > _MOST_ROWS else []
    if is_outside:
        more.append((_COST,))
    show(table, *more, (f"measured {document.date} by vmlab {document.vmlab} on {host}",))


def export_pyperf(document: SeriesDocument, path: Path) -> None:
    """Write all samples for pyperf; reports samples that pyperf does not accept on standard error."""
    for line in write_pyperf(document, path):
        warn(f"note: {line}")
    say(str(path))


def draw(document: SeriesDocument, *, svg_file: Path | None, name: str | None) -> None:
    """Plot on the terminal, in ASCII if its encoding requires that, or into an SVG file."""
    pictures = pictures_of(document.series, name=name)
    if svg_file is not None:
        replace_file(svg_file, svg(pictures))
        say(str(svg_file))
        return
    width = min(shutil.get_terminal_size().columns, _WIDEST_PLOT)
    is_unicode = can_show_unicode(sys.stdout.encoding)
    plots = [text_plot(picture, width=width, height=_PLOT_ROWS, is_unicode=is_unicode) for picture in pictures]
    write("\n".join(plots))
