# SPDX-License-Identifier: MIT
"""Where tables are printed: a terminal, or a log, which has no width of its own."""

from __future__ import annotations

from rich.console import Console

LOG_WIDTH = 170


def open_console(*, least_width: int = 0) -> Console:
    """Standard output: a terminal as wide as it is, but `least_width` at least, or a log."""
    console = Console(highlight=False)
    width = max(console.width, least_width) if console.is_terminal else LOG_WIDTH
    return Console(highlight=False, width=width)
