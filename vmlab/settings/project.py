# SPDX-License-Identifier: MIT
"""A project's settings: `[tool.vmlab]` of its pyproject.toml, or its vmlab.toml with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vmlab.errors import UsageError, nearest
from vmlab.settings.module import MODULE_KEYS, NOTHING_STATED, ModuleSettings, module_settings
from vmlab.settings.table import SETTINGS

PYPROJECT, OWN_FILE = "pyproject.toml", "vmlab.toml"
FILES = (PYPROJECT, OWN_FILE)
_BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The settings of one project file."""

    file: Path | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    """Text by the name of a setting."""
    module: ModuleSettings = NOTHING_STATED


def read_project(directory: Path) -> Project:
    """Read the settings of a directory's project file; an empty record if it has none.

    Raises `UsageError` for an unknown key, for a personal setting, and for settings in both files.
    """
    found = [
        (path, table, where)
        for path, table, where in (
            (directory / PYPROJECT, _tool_table(directory / PYPROJECT), "[tool.vmlab] "),
            (directory / OWN_FILE, _tables(directory / OWN_FILE), ""),
        )
        if table
    ]
    if not found:
        return Project()
    if len(found) > 1:
        raise UsageError(
            f"{directory}: both {PYPROJECT} and {OWN_FILE} have settings of vmlab", hint=f"keep them in {PYPROJECT}"
        )
    path, table, where = found[0]
    texts = {}
    for name, value in table.items():
        if name in MODULE_KEYS:
            continue
        _require_allowed(name, path, where)
        texts[name] = _as_text(value)
    _require_report_below(texts.get("report", ""), path, where)
    return Project(file=path, texts=texts, module=module_settings(table, path))


def _tables(path: Path) -> dict[str, Any]:
    from vmlab.decode import read_toml  # a pytest run without guests never needs it

    return read_toml(path) if path.is_file() else {}


def _tool_table(path: Path) -> dict[str, Any]:
    tool = _tables(path).get("tool", {})
    table = tool.get("vmlab", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.vmlab must be a table, got {table!r}", hint="write `[tool.vmlab]` once")
    return table


def _require_allowed(name: str, path: Path, where: str) -> None:
    if name not in _BY_NAME:
        hint = nearest(name, [*_BY_NAME, *MODULE_KEYS], listing="vmlab targets --help")
        raise UsageError(f"{path}: {where}{name}: unknown key", hint=hint)
    setting = _BY_NAME[name]
    if setting.is_personal:
        raise UsageError(
            f"{path}: {where}{name}: a project may not set this, because it decides what is "
            "trusted or removed outside of the project",
            hint=f"if you want it, use {setting.option} {setting.metavar} or {setting.variable}",
        )


def _require_report_below(text: str, path: Path, where: str) -> None:
    report = Path(text)
    if report.is_absolute() or ".." in report.parts or str(report).startswith("~"):
        raise UsageError(
            f"{path}: {where}report: a project's report must be below its directory, got {str(report)!r}",
            hint="use --vmlab-report DIR or VMLAB_REPORT",
        )


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
