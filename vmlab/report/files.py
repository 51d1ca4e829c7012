# SPDX-License-Identifier: MIT
"""The result file: the model as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.report.model import SCHEMA, RunResult
from vmlab.store import disk_error, replace_file

RESULT_FILE = "results.json"


def write_result(result: RunResult, directory: Path) -> Path:
    """Write results.json whole or not at all; `HostError` when the disk refuses."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise disk_error(error, directory) from error
    path = directory / RESULT_FILE
    replace_file(path, json.dumps(unstructure(result), indent=1) + "\n")
    return path


def read_result(path: Path) -> RunResult:
    """Read a result file back; `UsageError` when it is none or of another schema."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{str(path)!r} is no result file: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise UsageError(f"{str(path)!r} has another schema than {SCHEMA}", hint="read it with the vmlab that wrote it")
    return structure(data, RunResult, where=str(path))
