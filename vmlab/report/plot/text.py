# SPDX-License-Identifier: MIT
"""Plots as text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from vmlab.report.plot.axis import Axis, axis_for, tick_word
from vmlab.report.plot.groups import Line, Picture
from vmlab.text import printable

_MARKS = "●■▲◆○□△◇"
_ASCII_MARKS = "ox*#@%&$"
_SEVERAL, _ASCII_SEVERAL = "¤", "?"
_LEAST_WIDTH, _LEAST_HEIGHT = 40, 8


def can_show_unicode(encoding: str | None) -> bool:
    """True if a terminal's encoding contains the marks and the frame."""
    try:
        (_MARKS + _SEVERAL + "┤┴└─│").encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def text_plot(picture: Picture, *, width: int, height: int, is_unicode: bool) -> str:
    """Return a plot with `width` columns and `height` rows, then the legend; ends with a newline."""
    width, height = max(width, _LEAST_WIDTH), max(height, _LEAST_HEIGHT)
    across = axis_for([mark.n for line in picture.lines for mark in line.marks], most_ticks=max(2, width // 14))
    costs = [mark.cost for line in picture.lines for mark in line.marks]
    up = axis_for(costs, most_ticks=max(2, height // 3), is_beside_log=across.is_log)
    margin = max(len(tick_word(tick)) for tick in up.ticks)
    columns = width - margin - 3
    several = _SEVERAL if is_unicode else _ASCII_SEVERAL
    grid = _grid(picture, across, up, columns=columns, height=height, is_unicode=is_unicode)
    lines = [printable(picture.title), f"{picture.y_title}{' (log scale)' if up.is_log else ''}"]
    words = {_row(up, tick, height): tick_word(tick) for tick in up.ticks}
    tee, bar, corner, dash, cross = "┤│└─┴" if is_unicode else "+|+-+"
    for number, row in enumerate(grid):
        edge = tee if number in words else bar
        lines.append(f"{words.get(number, ''):>{margin}} {edge}{''.join(row)}".rstrip())
    floor = [dash] * columns
    for tick in across.ticks:
        floor[_column(across, tick, columns)] = cross
    lines.append(f"{'':>{margin}} {corner}{''.join(floor)}")
    lines.append(f"{'':>{margin}}  {_tick_words(across, columns)}".rstrip())
    x_title = f"{picture.x_title}{' (log scale)' if across.is_log else ''}"
    lines.append(f"{'':>{margin}}  {x_title:^{columns}}".rstrip())
    lines += [
        f"  {_mark(number, is_unicode=is_unicode)} {printable(line.name)}" for number, line in enumerate(picture.lines)
    ]
    if any(several in row for row in grid):
        lines.append(f"  {several} several series")
    text = "\n".join(lines) + "\n"
    return text if is_unicode else text.encode("ascii", "replace").decode("ascii")


def _grid(picture: Picture, across: Axis, up: Axis, *, columns: int, height: int, is_unicode: bool) -> list[list[str]]:
    """Return the plot's rows, the highest first; where two lines meet, the cell has a special mark."""
    grid = [[" "] * columns for _ in range(height)]
    for number, line in enumerate(picture.lines):
        letter = _mark(number, is_unicode=is_unicode)
        for column, row in _places(line, across, up, columns=columns, height=height):
            is_taken = grid[row][column] not in (" ", letter)
            grid[row][column] = (_SEVERAL if is_unicode else _ASCII_SEVERAL) if is_taken else letter
    return grid


def _places(line: Line, across: Axis, up: Axis, *, columns: int, height: int) -> Iterator[tuple[int, int]]:
    for mark in line.marks:
        yield _column(across, mark.n, columns), _row(up, mark.cost, height)


def _tick_words(across: Axis, columns: int) -> str:
    """Return the line of tick labels; a label that would touch the previous one is left out."""
    text = [" "] * columns
    free = 0
    for tick in across.ticks:
        word = tick_word(tick)
        start = min(max(0, _column(across, tick, columns) - len(word) // 2), columns - len(word))
        if start >= free:
            text[start : start + len(word)] = word
            free = start + len(word) + 1
    return "".join(text)


def _mark(number: int, *, is_unicode: bool) -> str:
    marks = _MARKS if is_unicode else _ASCII_MARKS
    return marks[number % len(marks)]


def _column(across: Axis, value: float, columns: int) -> int:
    return round(across.place(value) * (columns - 1))


def _row(up: Axis, value: float, height: int) -> int:
    return round((1 - up.place(value)) * (height - 1))
