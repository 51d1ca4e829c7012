# SPDX-License-Identifier: MIT
"""Lab for a command, with progress and notices on standard error."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

from vmlab.settings import Settings
from vmlab.system.output import is_terminal, show_step, warn
from vmlab.system.progress import Progress

if TYPE_CHECKING:
    from vmlab.lab.lab import Lab


def open_lab(settings: Settings) -> Lab:
    """Return a lab for one command. Imports `vmlab.lab` only when called."""
    from vmlab.lab.lab import Lab

    # A notice that each machine gives is shown once.
    notice = functools.cache(_notice)
    return Lab(settings, progress=Progress(_show, is_terminal=lambda: is_terminal(sys.stderr)), notice=notice)


def _show(text: str, is_same_step: bool) -> None:
    del is_same_step
    show_step(text)


def _notice(text: str) -> None:
    warn(f"note: {text}")
