# SPDX-License-Identifier: MIT
"""The console for tables: a terminal, or a log with a fixed width."""

from __future__ import annotations

from rich.console import Console

LOG_WIDTH = 170


def open_console(*, least_width: int = 0) -> Console:
    """Return a console on standard output: a terminal at least `least_width` wide, or a log `LOG_WIDTH` wide."""
    console = Console(highlight=False)
    width = max(console.width, least_width) if console.is_terminal else LOG_WIDTH
    return Console(highlight=False, width=width)
