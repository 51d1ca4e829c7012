# SPDX-License-Identifier: MIT
"""Output of `vmlab compare`, and its exit status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vmlab.decode import unstructure
from vmlab.report.console import Grid, Line, show
from vmlab.report.figures import figure, percent, signed, unit_words
from vmlab.report.series_files import read_series
from vmlab.system.output import say_json
from vmlab.timing.compare import Comparison, Difference, PointComparison, Rules, Verdict
from vmlab.timing.pairing import DocumentComparison, compare_documents

STATUS = {Verdict.SAME: 0, Verdict.FASTER: 0, Verdict.SLOWER: 1, Verdict.INCONCLUSIVE: 3}
"""Exit status for each verdict; 2 is wrong usage. Inconclusive must not pass as success, so it is 3."""
JSON_SCHEMA = 1
_STYLE = {Verdict.SAME: "", Verdict.FASTER: "green", Verdict.SLOWER: "red", Verdict.INCONCLUSIVE: "yellow"}
_LEAST_WIDTH = 110


def compare_files(before: Path, after: Path, rules: Rules, *, as_json: bool) -> int:
    """Compare the series in two files or directories, print the result, and return the exit status."""
    compared = compare_documents(read_series(before), read_series(after), rules)
    print_comparison(compared, as_json=as_json)
    return STATUS[compared.verdict]


def print_comparison(compared: DocumentComparison, *, as_json: bool) -> None:
    """Print the table, the differences apart from the code, and the undecided points; or everything as JSON."""
    if as_json:
        say_json(comparison_data(compared))
        return
    # Figures are never truncated: a narrow terminal wraps the row.
    show(_table(compared), *_notes(compared), least_width=_LEAST_WIDTH)


def comparison_data(compared: DocumentComparison) -> dict[str, Any]:
    """Return the comparison for JSON output, with its verdicts and differences."""
    data: dict[str, Any] = {"schema": JSON_SCHEMA, "verdict": str(compared.verdict)} | unstructure(compared)
    for row, comparison in zip(data["series"], compared.series, strict=True):
        row["verdict"] = str(comparison.verdict)
        for cell, point in zip(row["points"], comparison.points, strict=True):
            cell["difference"] = point.difference
    return data


def _table(compared: DocumentComparison) -> Grid:
    table = Grid()
    table.column("series", "target", "counts")
    table.column("n", "before", "after", "difference", "change", "99 % interval", is_right=True, is_whole=True)
    table.column("verdict", is_whole=True)
    for row in compared.series:
        head = (row.name, row.target, unit_words(row.source, row.unit))
        for point in row.points:
            cells = (*head, *_cells(row, point))
            table.row(*cells, (point.verdict, _STYLE[point.verdict]))
            head = ("", "", "")
    return table


def _cells(row: Comparison, point: PointComparison) -> tuple[str, ...]:
    digits = 4 if row.is_exact else 1
    interval = "-"
    if point.interval is not None:
        interval = f"{percent(point.interval.low)[:-2]} to {percent(point.interval.high)}"
    return (
        str(point.n),
        figure(point.before),
        figure(point.after),
        signed(point.difference),
        percent(point.ratio, digits=digits) if point.ratio is not None else "-",
        interval,
    )


def _notes(compared: DocumentComparison) -> list[Line]:
    """Return the notes below the table, each once with the series that it applies to; the verdict comes last."""
    series: dict[Line, list[str]] = {}
    for row in compared.series:
        remarks = [(remark,) for remark in row.remarks]
        for note in (*_reasons(row), *map(_loud, row.differences), *remarks, *_one_sided(row)):
            series.setdefault(note, []).append(f"{row.name} on {row.target}")
    notes: list[Line] = [(*note, f"  [{_some(names, len(compared.series))}]") for note, names in series.items()]
    notes += [_loud(other) for other in compared.differences]
    for side, names in (("before", compared.only_before), ("after", compared.only_after)):
        notes += [(f"only {side}: {name}",) for name in names]
    notes.append(((f"verdict: {compared.verdict.upper()}", _STYLE[compared.verdict] or "bold"),))
    return notes


def _reasons(row: Comparison) -> list[Line]:
    """Return the reasons of inconclusive points, each once with the sizes that it applies to."""
    sizes: dict[str, list[str]] = {}
    for point in row.points:
        if point.verdict is Verdict.INCONCLUSIVE:
            sizes.setdefault(point.reason, []).append(str(point.n))
    if not row.points:
        return [("inconclusive: no size was measured on both sides",)]
    return [(f"inconclusive at n = {', '.join(among)}: {reason}",) for reason, among in sizes.items()]


def _one_sided(row: Comparison) -> list[Line]:
    sides = (("before", row.only_before), ("after", row.only_after))
    return [(f"only {side}: n = {', '.join(map(str, sizes))}",) for side, sizes in sides if sizes]


def _some(names: list[str], of: int) -> str:
    if len(names) == of > 1:
        return f"all {of} series"
    return ", ".join(names)


def _loud(other: Difference) -> Line:
    return (("DIFFERENT", "bold yellow"), f" {other.what}: {other.before!r} before, {other.after!r} after")
