# SPDX-License-Identifier: MIT
"""The log of a failed build, kept in the report directory: an error shows only its end."""

from __future__ import annotations

import contextlib
from pathlib import Path

from vmlab.errors import BuildError

_DIRECTORY = "builds"


def keep_build_log(error: BuildError, report: Path, name: str) -> None:
    """Write the output of a failed build to `builds/NAME.log` of the report directory, and name that file in the
    error's details, once. Does nothing for an error without an output, or if the file cannot be written."""
    path = report / _DIRECTORY / f"{name}.log"
    told = f"the whole output: {path}"
    if not error.output or told in error.detail:
        return
    # Without the file, the error still has the end of the output.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(error.output, encoding="utf-8", errors="replace")
        error.detail = f"{error.detail}\n{told}".strip()
