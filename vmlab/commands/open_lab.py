# SPDX-License-Identifier: MIT
"""Lab for a command, with progress and notices on standard error."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vmlab.errors import BuildError, VmlabError
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


_CONSOLES = "consoles"


@contextlib.contextmanager
def passing_lab(settings: Settings) -> Iterator[Lab]:
    """Yield a lab for a command that writes no results. Unless --vmlab-report names a place, the consoles of its guests
    are kept in the report directory only if an error ends it; the error then names them. The log of a failed build is
    kept there in any case."""
    from vmlab.report.build_log import keep_build_log
    from vmlab.system.scratch import ScratchDirectory

    with contextlib.ExitStack() as stack:
        report = settings.report
        if settings.origin["report"] == "default":
            report = stack.enter_context(ScratchDirectory(needed_mib=0, what="the consoles of guests"))
        try:
            yield open_lab(replace(settings, report=report))
        except BuildError as error:
            keep_build_log(error, settings.report, "build")
            raise
        except VmlabError as error:
            _keep_consoles(error, report / _CONSOLES, settings.report / _CONSOLES)
            raise


def _keep_consoles(error: VmlabError, found: Path, kept: Path) -> None:
    """Move consoles that are not empty to the report directory, and name them in the error's details."""
    if found == kept or not found.is_dir():
        return
    names = [path.name for path in sorted(found.iterdir()) if path.stat().st_size > 0]
    # The error that ends the command is more important than one of a directory that cannot be written.
    with contextlib.suppress(OSError):
        kept.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.move(found / name, kept / name)
            error.detail = f"{error.detail}\nconsole: {kept / name}".strip()


def _show(text: str, is_same_step: bool) -> None:
    del is_same_step
    show_step(text)


def _notice(text: str) -> None:
    warn(f"note: {text}")
