# SPDX-License-Identifier: MIT
"""Tables and coloured lines. The only user of rich: every text that it gets is plain and printable.

Rich reads `[red]` in a string as markup, and fails for an unmatched `[/]`. So cells and lines are `Text`, made here.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vmlab.system.output import write
from vmlab.text import printable

LOG_WIDTH = 170

Piece = str | tuple[str, str]
"""Text, or text and its style, such as `("slower", "red")`."""
Line = tuple[Piece, ...]
"""A line of text, which is not folded."""


class Grid:
    """A table without borders. Columns are added first, then rows."""

    def __init__(self, *, has_header: bool = True) -> None:
        self.table = Table(box=None, pad_edge=False, header_style="bold", show_header=has_header)

    def column(self, *headings: str, is_right: bool = False, is_whole: bool = False) -> None:
        """Add columns: aligned to the right, and never folded, if asked for."""
        for heading in headings:
            self.table.add_column(
                _text((heading,)), justify="right" if is_right else "left", overflow="fold", no_wrap=is_whole
            )

    def row(self, *cells: Piece, style: str = "") -> None:
        """Add a row."""
        self.table.add_row(*(_text((cell,)) for cell in cells), style=style or None)


def show(*parts: Grid | Line, least_width: int = 0) -> None:
    """Print tables and lines to standard output: a terminal at least `least_width` wide, or a log `LOG_WIDTH` wide."""
    width, is_color = screen()
    write(render(parts, width=max(width, least_width), color=is_color))


def screen() -> tuple[int, bool]:
    """Return the width of standard output, and True if it is a terminal."""
    console = Console(highlight=False)
    return (console.width, True) if console.is_terminal else (LOG_WIDTH, False)


def render(parts: Iterable[Grid | Line], *, width: int, color: bool) -> str:
    """Return the text of tables and lines; the only control characters in it are colours."""
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=color, no_color=None if color else True, highlight=False, markup=False
    )
    for part in parts:
        if isinstance(part, Grid):
            console.print(part.table)
        else:
            console.print(_text(part), soft_wrap=True)
    text = stream.getvalue()
    # rich pads the last column, which folds each line of a file in an editor.
    return text if color else "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def _text(line: Line) -> Text:
    pieces = [(piece, "") if isinstance(piece, str) else piece for piece in line]
    return Text.assemble(*((printable(text), style) for text, style in pieces))
