# SPDX-License-Identifier: MIT
"""Loads settings from their four sources and merges them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.errors import UsageError, nearest
from vmlab.settings.parse import PATHS, Invalid, without_password
from vmlab.settings.table import SETTINGS, Setting
from vmlab.settings.words import (
    AcceleratorChoice,
    BuildPlace,
    CompilerPolicy,
    Shard,
    StaleIndex,
    TimingChoice,
)

_BY_NAME = {setting.name: setting for setting in SETTINGS}
_LISTING = "vmlab targets --help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a run; `origin` names the source of each."""

    target: str
    module: Path
    accel: AcceleratorChoice
    build: BuildPlace
    compiler: CompilerPolicy
    memory_mib: int
    cpus: int
    timing: TimingChoice
    patience: float
    store: Path
    store_gib: float | None
    shared_store: Path | None
    shard: Shard | None
    durations: Path | None
    keep: bool
    known_splats: Path | None
    dump: bool
    network: bool
    report: Path
    mirror: str
    stale_index: StaleIndex
    catalogue: Path | None
    lock: Path | None
    index_days: float
    origin: Mapping[str, str]


def load_settings(
    options: Mapping[str, str | None],
    *,
    directory: Path,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Merge the four sources into one record; raises `UsageError`, which names the source of an invalid value.

    `options` maps setting names to command line values (None: not given). `directory` contains pyproject.toml, and
    paths in that file are relative to it. It may set neither what `is_personal` nor a report outside of `directory`,
    since it comes with a repository that its user may only have entered.
    """
    given: dict[str, tuple[str, str]] = {s.name: (s.default, "default") for s in SETTINGS}
    given |= _from_project(directory)
    given |= _from_environment(os.environ if environment is None else environment)
    given |= {
        name: (text, _BY_NAME[name].option) for name, text in options.items() if text is not None and name in _BY_NAME
    }
    values: dict[str, Any] = {}
    for name, (text, origin) in given.items():
        setting = _BY_NAME[name]
        is_relative = text and setting.parse in PATHS and origin in ("default", _PROJECT)
        values[name] = _parsed(setting, text, origin, str(directory / text) if is_relative else text)
    return Settings(**values, origin={name: origin for name, (_, origin) in given.items()})


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise `UsageError` for a VMLAB_ variable that is unknown or has an invalid value. Reads no file."""
    for name, (text, variable) in _from_environment(environment).items():
        _parsed(_BY_NAME[name], text, variable, text)


def _parsed(setting: Setting, text: str, origin: str, value: str) -> Any:
    try:
        return setting.parse(value)
    except Invalid as error:
        where = {_PROJECT: f"{origin}: {setting.name}", "default": f"the default of {setting.option}"}.get(
            origin, origin
        )
        hint = f"use {setting.option}, or change {_SOURCES}" if origin == "default" else error.hint
        raise UsageError(f"{where} {error}, got {without_password(text)!r}", hint=hint) from None


_PROJECT = "pyproject.toml"
_SOURCES = "XDG_CACHE_HOME, HOME or the working directory"
"""Sources of the paths among the defaults."""


def _from_project(directory: Path) -> dict[str, tuple[str, str]]:
    from vmlab.decode import read_toml  # a pytest run without guests never needs it

    path = directory / _PROJECT
    if not path.is_file():
        return {}
    tool = read_toml(path).get("tool", {})
    table = tool.get("vmlab", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: tool.vmlab must be a table, got {table!r}", hint="write `[tool.vmlab]` once")
    for name in table:
        if name not in _BY_NAME:
            hint = nearest(name, _BY_NAME, listing=_LISTING)
            raise UsageError(f"{path}: [tool.vmlab] {name}: unknown key", hint=hint)
        if _BY_NAME[name].is_personal:
            setting = _BY_NAME[name]
            raise UsageError(
                f"{path}: [tool.vmlab] {name}: a project may not set this, because it decides what is "
                "trusted or removed outside of the project",
                hint=f"if you want it, use {setting.option} {setting.metavar} or {setting.variable}",
            )
    report = Path(_as_text(table.get("report", "")))
    if report.is_absolute() or ".." in report.parts or str(report).startswith("~"):
        raise UsageError(
            f"{path}: [tool.vmlab] report: a project's report must be below its directory, got {str(report)!r}",
            hint="use --vmlab-report DIR or VMLAB_REPORT",
        )
    return {name: (_as_text(value), _PROJECT) for name, value in table.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    found = {}
    for variable, text in environment.items():
        if not variable.startswith("VMLAB_") or not text:
            continue  # an empty variable counts as unset
        name = variable.removeprefix("VMLAB_").lower()
        if name not in _BY_NAME:
            hint = nearest(variable, [setting.variable for setting in SETTINGS], listing=_LISTING)
            raise UsageError(f"{variable}: unknown environment variable", hint=hint)
        found[name] = (text, variable)
    return found


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
