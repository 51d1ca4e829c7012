# SPDX-License-Identifier: MIT
"""`vmlab time`, `compare`, `series` and `plot`: the commands that measure and show measurements."""

from __future__ import annotations

import argparse
from pathlib import Path

from vmlab.commands.command_line import BUILDS, CATALOGUE, GUESTS, Commands
from vmlab.commands.open_lab import passing_lab
from vmlab.errors import UsageError
from vmlab.settings import Settings

_OPERATIONS = (
    "for example 'pread /dev/fibonacci {n} 300': pread, read or pwrite PATH OFFSET SIZE; ioctl PATH REQUEST SIZE; "
    "command PROGRAM WORD...; loop ROUNDS; syscall"
)
_FILE = "a results.json, its directory, or a series file"


def add_commands(commands: Commands) -> None:
    """Add the commands."""
    timing = commands.add(
        "time",
        _time,
        "time an operation on a device, or a program, on the selected targets",
        settings=(*CATALOGUE, *BUILDS, "timing", *GUESTS),
    )
    timing.add_argument("operation", metavar="OPERATION", help=_OPERATIONS)
    timing.add_argument("--n", metavar="SIZES", help="the values of {n}: 10,100,1000")
    timing.add_argument("--against", type=Path, metavar="DIR", help="also time the module in DIR, and compare")
    timing.add_argument(
        "--out", type=Path, metavar="FILE", help="write the figures, for `vmlab compare` and `vmlab plot`"
    )
    timing.add_argument("--json", action="store_true", help="with --against: print the comparison as JSON")
    compare = commands.add("compare", _compare, "compare two measurements: slower, faster, same or inconclusive")
    compare.add_argument("before", type=Path, metavar="BEFORE", help=_FILE)
    compare.add_argument("after", type=Path, metavar="AFTER", help="the same, for the later measurement")
    compare.add_argument(
        "--margin", type=float, default=None, metavar="SHARE", help="ignore smaller differences; 0.05 is 5 %%"
    )
    compare.add_argument("--any-source", action="store_true", help="show series of different sources or units anyway")
    compare.add_argument("--json", action="store_true", help="print JSON")
    series = commands.add("series", _series, "list measurements, or export them to pyperf")
    series.add_argument("file", type=Path, metavar="FILE", help=_FILE)
    series.add_argument("--pyperf", type=Path, metavar="OUT", help="write all samples as a file that pyperf reads")
    plot = commands.add("plot", _plot, "plot cost against n, one line per kernel")
    plot.add_argument("file", type=Path, metavar="FILE", help=_FILE)
    plot.add_argument("--svg", type=Path, metavar="OUT", help="write an SVG file instead of text")
    plot.add_argument("--name", metavar="SERIES", help="only this series")


def _time(chosen: argparse.Namespace, settings: Settings) -> int:
    from vmlab.commands import ad_hoc_timing
    from vmlab.timing.compare import Rules

    sizes = ad_hoc_timing.sizes_of(chosen.operation, chosen.n)
    question = ad_hoc_timing.Question(operation=chosen.operation, sizes=tuple(sizes))
    if chosen.json and chosen.against is None:
        raise UsageError("--json needs --against", hint="--out FILE writes the figures as JSON")
    with passing_lab(settings) as lab:
        if chosen.against is None:
            return ad_hoc_timing.time_alone(lab, question, out=chosen.out)
        before = chosen.against.absolute()
        return ad_hoc_timing.time_against(lab, before, question, Rules(), out=chosen.out, as_json=chosen.json)


def _compare(chosen: argparse.Namespace, _: Settings) -> int:
    from vmlab.report.comparison import compare_files
    from vmlab.timing.compare import MARGIN, Rules

    margin = MARGIN if chosen.margin is None else chosen.margin
    rules = Rules(margin=margin, is_any_source=chosen.any_source)
    return compare_files(chosen.before, chosen.after, rules, as_json=chosen.json)


def _series(chosen: argparse.Namespace, _: Settings) -> int:
    from vmlab.report.measurements import export_pyperf, print_series
    from vmlab.report.series_files import read_series

    document = read_series(chosen.file)
    if chosen.pyperf is not None:
        export_pyperf(document, chosen.pyperf)
    else:
        print_series(document)
    return 0


def _plot(chosen: argparse.Namespace, _: Settings) -> int:
    from vmlab.report.measurements import draw
    from vmlab.report.series_files import read_series

    draw(read_series(chosen.file), svg_file=chosen.svg, name=chosen.name)
    return 0
