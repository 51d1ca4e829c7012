# SPDX-License-Identifier: MIT
"""Loads settings from their four sources and merges them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vmlab.errors import UsageError, nearest
from vmlab.settings.module import NOTHING_STATED, ModuleSettings
from vmlab.settings.parse import PATHS, Invalid, without_password
from vmlab.settings.project import FILES, Project, read_project
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
_MODULE_NAME = re.compile(r"[\w-]{1,55}", re.ASCII)
_LISTING = "vmlab targets --help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a run; `origin` names the source of each."""

    target: str
    module: Path
    module_name: str = ""
    """Name of one module, for a directory that makes several: NAME of --vmlab-module DIR:NAME."""
    stated: ModuleSettings = NOTHING_STATED
    """The module's tree, as the project's file describes it."""
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
    project = read_project(directory)
    given |= {name: (text, _name_of(project)) for name, text in project.texts.items()}
    given |= _from_environment(os.environ if environment is None else environment)
    given |= {
        name: (text, _BY_NAME[name].option) for name, text in options.items() if text is not None and name in _BY_NAME
    }
    values: dict[str, Any] = {}
    for name, (text, origin) in given.items():
        setting = _BY_NAME[name]
        is_relative = text and setting.parse in PATHS and origin in ("default", *FILES)
        whole = str(directory / text) if is_relative else text
        if name == "module":
            whole, values["module_name"] = split_module(whole)
        values[name] = _parsed(setting, text, origin, whole)
    return Settings(**values, stated=project.module, origin={name: origin for name, (_, origin) in given.items()})


def split_module(text: str) -> tuple[str, str]:
    """Split `DIR:NAME` into the directory and the module's name; the name is empty for `DIR` alone, and for a directory
    that has a colon in its name."""
    directory, colon, name = text.rpartition(":")
    is_named = colon and directory and _MODULE_NAME.fullmatch(name) and not Path(text).expanduser().exists()
    return (directory, name) if is_named else (text, "")


def _name_of(project: Project) -> str:
    return project.file.name if project.file is not None else ""


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise `UsageError` for a VMLAB_ variable that is unknown or has an invalid value. Reads no file."""
    for name, (text, variable) in _from_environment(environment).items():
        _parsed(_BY_NAME[name], text, variable, text)


def _parsed(setting: Setting, text: str, origin: str, value: str) -> Any:
    try:
        return setting.parse(value)
    except Invalid as error:
        where = f"{origin}: {setting.name}" if origin in FILES else origin
        where = f"the default of {setting.option}" if origin == "default" else where
        hint = f"use {setting.option}, or change {_SOURCES}" if origin == "default" else error.hint
        raise UsageError(f"{where} {error}, got {without_password(text)!r}", hint=hint) from None


_SOURCES = "XDG_CACHE_HOME, HOME or the working directory"
"""Sources of the paths among the defaults."""


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
