# SPDX-License-Identifier: MIT
"""Plots as SVG: a self-contained file without scripts, for light and dark mode.

The same series give the same bytes. Lines differ in colour, dash and the shape of their marks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from vmlab.report.plot.axis import Axis, axis_for, tick_word
from vmlab.report.plot.groups import Line, Picture
from vmlab.text import printable

_WIDTH, _PLOT_HEIGHT = 760, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 24, 44, 52
_LEGEND_ROW = 20
_LETTER = 7.2  # approximate width of a letter at 12 px
# Okabe and Ito's palette for the colour-blind, light mode and dark mode, some lighter for dark mode.
_COLORS = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#ff8c42"),
    ("#009e73", "#2fd0a2"),
    ("#b0568f", "#e79ac7"),
    ("#7a6a00", "#f0e442"),
    ("#444444", "#c8c8c8"),
)
_DASHES = ("", "7 3", "2 3", "9 3 2 3")
_SHAPES = (
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M-3.6 -3.6h7.2v7.2h-7.2z",
    "M0 -4.8L4.6 3.4H-4.6z",
    "M0 -5L5 0L0 5L-5 0z",
)


def svg(pictures: Sequence[Picture]) -> str:
    """Return the text of an SVG file with the plots one below the other."""
    parts: list[str] = []
    top = 0
    for picture in pictures:
        height = _TOP + _PLOT_HEIGHT + _BOTTOM + _LEGEND_ROW * len(_legend_rows(picture.lines))
        parts.append(f'<g transform="translate(0 {top})">')
        parts += _picture(picture)
        parts.append("</g>")
        top += height
    title = escape(printable("; ".join(picture.title for picture in pictures)))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12">'
    )
    paper = f'<rect class="paper" width="{_WIDTH}" height="{top}"/>'
    return "\n".join([head, f"<title>{title}</title>", _style(), paper, *parts, "</svg>"]) + "\n"


def _style() -> str:
    light = "".join(f".c{number}{{color:{color}}}" for number, (color, _) in enumerate(_COLORS))
    dark = "".join(f".c{number}{{color:{color}}}" for number, (_, color) in enumerate(_COLORS))
    return (
        "<style>"
        ".paper{fill:#ffffff}text{fill:#222222}.grid{stroke:#dddddd}.frame{stroke:#888888;fill:none}"
        ".line{stroke:currentColor;fill:none;stroke-width:1.8;stroke-linejoin:round}.mark{fill:currentColor}"
        f".spread{{stroke:currentColor;stroke-width:1.2}}{light}"
        "@media (prefers-color-scheme: dark){"
        f".paper{{fill:#16181d}}text{{fill:#dddddd}}.grid{{stroke:#33363d}}.frame{{stroke:#777777}}{dark}}}"
        "</style>"
    )


def _picture(picture: Picture) -> Iterator[str]:
    marks = [mark for line in picture.lines for mark in line.marks]
    across = axis_for([mark.n for mark in marks])
    ends = [end for mark in marks if mark.spread is not None for end in (mark.spread.low, mark.spread.high)]
    up = axis_for([mark.cost for mark in marks] + ends, is_beside_log=across.is_log)
    yield _text(_LEFT, 26, picture.title, extra='font-size="15" font-weight="600"')
    yield from _grid(across, up)
    middle = _LEFT + (_WIDTH - _LEFT - _RIGHT) / 2
    x_title = picture.x_title + (" (log scale)" if across.is_log else "")
    y_title = picture.y_title + (" (log scale)" if up.is_log else "")
    yield _text(middle, _TOP + _PLOT_HEIGHT + 38, x_title, extra='text-anchor="middle"')
    turned = f'text-anchor="middle" transform="rotate(-90 16 {_TOP + _PLOT_HEIGHT / 2:.0f})"'
    yield _text(16, _TOP + _PLOT_HEIGHT / 2, y_title, extra=turned)
    for number, line in enumerate(picture.lines):
        yield from _line(number, line, across, up)
    yield from _legend(picture.lines)


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    bottom, right = _TOP + _PLOT_HEIGHT, _WIDTH - _RIGHT
    for tick in across.ticks:
        x = _x(across, tick)
        yield f'<path class="grid" d="M{x:.1f} {_TOP}V{bottom}"/>'
        yield _text(x, bottom + 18, tick_word(tick), extra='text-anchor="middle"')
    for tick in up.ticks:
        y = _y(up, tick)
        yield f'<path class="grid" d="M{_LEFT} {y:.1f}H{right}"/>'
        yield _text(_LEFT - 8, y + 4, tick_word(tick), extra='text-anchor="end"')
    yield f'<rect class="frame" x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{_PLOT_HEIGHT}"/>'


def _line(number: int, line: Line, across: Axis, up: Axis) -> Iterator[str]:
    places = [(_x(across, mark.n), _y(up, mark.cost)) for mark in line.marks]
    yield f'<g class="c{number % len(_COLORS)}">'
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    if len(places) > 1:
        yield f'<path class="line"{_dash(number)} d="M{path}"/>'
    for mark, (x, y) in zip(line.marks, places, strict=True):
        if mark.spread is not None and mark.spread.low != mark.spread.high:
            low, high = _y(up, mark.spread.low), _y(up, mark.spread.high)
            bars = f"M{x - 3:.1f} {low:.1f}h6M{x - 3:.1f} {high:.1f}h6"
            yield f'<path class="spread" d="M{x:.1f} {low:.1f}V{high:.1f}{bars}"/>'
        yield _shape(number, x, y)
    yield "</g>"


def _legend(lines: Sequence[Line]) -> Iterator[str]:
    y = _TOP + _PLOT_HEIGHT + _BOTTOM + 6
    number = 0
    for row in _legend_rows(lines):
        x = float(_LEFT)
        for name in row:
            yield f'<g class="c{number % len(_COLORS)}"><path class="line"{_dash(number)} d="M{x:.1f} {y}h28"/>'
            yield f"{_shape(number, x + 14, y)}</g>"
            yield _text(x + 36, y + 4, name)
            x += _legend_width(name)
            number += 1
        y += _LEGEND_ROW


def _legend_rows(lines: Sequence[Line]) -> list[list[str]]:
    """Return the names of the lines in rows that fit the width."""
    rows: list[list[str]] = []
    room = 0.0
    for line in lines:
        if not rows or _legend_width(line.name) > room:
            rows.append([])
            room = _WIDTH - _LEFT - _RIGHT
        rows[-1].append(line.name)
        room -= _legend_width(line.name)
    return rows


def _legend_width(name: str) -> float:
    return 36 + len(name) * _LETTER + 18


def _shape(number: int, x: float, y: float) -> str:
    return f'<path class="mark" transform="translate({x:.1f} {y:.1f})" d="{_SHAPES[number % len(_SHAPES)]}"/>'


def _dash(number: int) -> str:
    # Each round of colours has another dash: the first six lines are solid.
    dash = _DASHES[number // len(_COLORS) % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _text(x: float, y: float, text: str, *, extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}"{" " + extra if extra else ""}>{escape(printable(text))}</text>'


def _x(across: Axis, value: float) -> float:
    return _LEFT + across.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(up: Axis, value: float) -> float:
    return _TOP + (1 - up.place(value)) * _PLOT_HEIGHT
