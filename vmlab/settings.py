# SPDX-License-Identifier: MIT
"""One table of settings: default < `[tool.vmlab]` in pyproject.toml < environment < option.

A setting is declared here once. Its option (`--vmlab-accel`), its environment variable (`VMLAB_ACCEL`), its
key (`accel`), its help and its check all come from the declaration, and every value remembers where it came
from. An unknown key is an error with the nearest word.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import platformdirs

from vmlab.errors import UsageError, nearest
from vmlab.shard import Shard, parse_shard


class AcceleratorChoice(StrEnum):
    """What the user asks for; what it becomes is `host.accelerator`'s verdict."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class BuildPlace(StrEnum):
    """Where the module is compiled."""

    AUTO = "auto"
    HOST = "host"
    GUEST = "guest"


class CompilerPolicy(StrEnum):
    """What to do when the kernel's own compiler is not there, only another version."""

    REFUSE = "refuse"
    WAIVE = "waive"


class TimingChoice(StrEnum):
    """What is to count the time; `auto` takes the best of them that is proved to count."""

    AUTO = "auto"
    PMU = "pmu"
    EMULATED_PMU = "emulated-pmu"
    ICOUNT = "icount"
    CLOCK = "clock"


class StaleIndex(StrEnum):
    """What to do with a package index whose date of expiry has passed, as those of frozen mirrors have."""

    REFUSE = "refuse"
    ACCEPT = "accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One declared setting: `parse` turns text into its value or raises `ValueError`."""

    name: str
    default: str
    parse: Callable[[str], Any]
    metavar: str
    help: str
    is_flag: bool = False
    """Whether its option takes no value: naming it says yes."""

    @property
    def option(self) -> str:
        return f"--vmlab-{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        return f"VMLAB_{self.name.upper()}"


def _between(low: float, high: float, kind: type) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError(f"must lie between {low:g} and {high:g}")
        return value

    return parse


def _words(kind: type[StrEnum]) -> Callable[[str], StrEnum]:
    def parse(text: str) -> StrEnum:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(nearest(text, [str(word) for word in kind])) from None

    return parse


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no", "true", "false"):
        raise ValueError("write yes or no")
    return text.lower() in ("yes", "true")


def _budget(text: str) -> float | None:
    return None if text == "auto" else float(_between(1, 1e6, float)(text))


def _path(text: str) -> Path:
    if not text:
        raise ValueError("expected a path")
    return Path(text).expanduser().absolute()


def _optional_path(text: str) -> Path | None:
    return _path(text) if text else None


def _optional_directory(text: str) -> Path | None:
    path = _optional_path(text)
    if path is not None and not path.is_dir():
        raise ValueError("there is no such directory")
    return path


def _optional_shard(text: str) -> Shard | None:
    return parse_shard(text) if text else None


SETTINGS: tuple[Setting, ...] = (
    Setting(
        name="target",
        default="",
        parse=str,
        metavar="GLOBS",
        help="targets by exact glob, comma-separated: 'debian13-*', 'all'; default: the default matrix",
    ),
    Setting(
        name="module",
        default="fibdrv",
        parse=_path,
        metavar="DIR",
        help="directory with the module's Kbuild file or Makefile",
    ),
    Setting(
        name="accel",
        default="auto",
        parse=_words(AcceleratorChoice),
        metavar="auto|kvm|tcg",
        help="auto proves KVM and falls back to TCG with a reason; kvm demands it; tcg skips the question",
    ),
    Setting(
        name="build",
        default="auto",
        parse=_words(BuildPlace),
        metavar="auto|host|guest",
        help="where to compile: in the guest, or with its compiler in its root file system on the host",
    ),
    Setting(
        name="compiler",
        default="refuse",
        parse=_words(CompilerPolicy),
        metavar="refuse|waive",
        help="what to do when only another version than the kernel's own compiler is there",
    ),
    Setting(
        name="memory_mib", default="1024", parse=_between(256, 65536, int), metavar="MIB", help="memory of a guest"
    ),
    Setting(name="cpus", default="2", parse=_between(1, 64, int), metavar="N", help="processors of a guest"),
    Setting(
        name="timing",
        default="auto",
        parse=_words(TimingChoice),
        metavar="auto|pmu|emulated-pmu|icount|clock",
        help="what counts in timing tests; auto takes the best that is proved to count, any other is demanded",
    ),
    Setting(
        name="patience",
        default="1",
        parse=_between(0.1, 100, float),
        metavar="FACTOR",
        help="multiplies every time limit: raise it on a slow or busy host",
    ),
    Setting(
        name="store",
        default=platformdirs.user_cache_dir("vmlab"),
        parse=_path,
        metavar="DIR",
        help="where images and builds are cached",
    ),
    Setting(
        name="store_gib",
        default="auto",
        parse=_budget,
        metavar="GIB",
        help="what the store may take; the least recently used goes first. auto: 3/4 of what it has and is free",
    ),
    Setting(
        name="shared_store",
        default="",
        parse=_optional_directory,
        metavar="DIR",
        help="a store that is only read, by many hosts at once: what it has is not made again in --vmlab-store",
    ),
    Setting(
        name="shard",
        default="",
        parse=_optional_shard,
        metavar="I/N",
        help="run one of N parts of the run that take the same time: 3/8; `vmlab report merge` joins their results",
    ),
    Setting(
        name="durations",
        default="",
        parse=_optional_path,
        metavar="FILE",
        help="what tests took, to make shards equal by: a results.json, or what `vmlab report durations` wrote",
    ),
    Setting(
        name="keep",
        default="no",
        parse=_yes_or_no,
        metavar="yes|no",
        help="leave the guest of a failing test running, and say how to get in; `vmlab reap` ends it",
        is_flag=True,
    ),
    Setting(
        name="known_splats",
        default="",
        parse=_optional_path,
        metavar="FILE",
        help="a TOML file of your own with [[allow]] and [[deny]] rules, besides vmlab's known-splats.toml",
    ),
    Setting(
        name="dump",
        default="no",
        parse=_yes_or_no,
        metavar="yes|no",
        help="dump the memory of a guest that hangs, for drgn, into dumps/ of the report directory",
        is_flag=True,
    ),
    Setting(
        name="report",
        default="build/vmlab",
        parse=_path,
        metavar="DIR",
        help="where results, JUnit XML and console logs go",
    ),
    Setting(
        name="mirror",
        default="",
        parse=str,
        metavar="URL",
        help="Debian mirror; default: the host's own if it is a Debian, else mmdebstrap's",
    ),
    Setting(
        name="stale_index",
        default="refuse",
        parse=_words(StaleIndex),
        metavar="refuse|accept",
        help="whether a mirror may serve an index that has expired, as a frozen one does",
    ),
    Setting(
        name="catalogue",
        default="",
        parse=_optional_path,
        metavar="DIR",
        help="a directory with targets/*.toml of your own, whose rows stand beside vmlab's, and their lock.toml",
    ),
    Setting(
        name="lock",
        default="",
        parse=_optional_path,
        metavar="FILE",
        help="which files of their publishers cloud images are; default: lock.toml in your catalogue, else a "
        "checkout's images/lock.toml, else vmlab/lock.toml in your configuration directory",
    ),
    Setting(
        name="index_days",
        default="7",
        parse=_between(0, 3650, float),
        metavar="DAYS",
        help="how long a kernel line stays resolved to one version before the index is asked again",
    ),
)
_PATHS = (_path, _optional_path, _optional_directory)
_BY_NAME = {setting.name: setting for setting in SETTINGS}
_LISTING = "vmlab targets --help"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a run; `origin` tells where each came from."""

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
    """Merge the four places into one record; `UsageError` names the place of a bad value.

    `options` maps setting names to what was given on the command line (None: not given); `directory` is where
    pyproject.toml is looked for, and what relative paths in it are relative to.
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
        is_relative = text and setting.parse in _PATHS and origin in ("default", _PROJECT)
        values[name] = _parsed(setting, text, origin, str(directory / text) if is_relative else text)
    return Settings(**values, origin={name: origin for name, (_, origin) in given.items()})


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise `UsageError` for a VMLAB_ variable that is unknown or has a wrong value. Reads no file."""
    for name, (text, variable) in _from_environment(environment).items():
        _parsed(_BY_NAME[name], text, variable, text)


def _parsed(setting: Setting, text: str, origin: str, value: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        where = origin if origin == setting.option else f"{setting.name} ({origin})"
        raise UsageError(f"{where}: {text!r} is no {setting.metavar}", hint=str(error)) from None


_PROJECT = "pyproject.toml"


def _from_project(directory: Path) -> dict[str, tuple[str, str]]:
    from vmlab.decode import read_toml  # a pytest run without guests never gets here

    path = directory / _PROJECT
    if not path.is_file():
        return {}
    tool = read_toml(path).get("tool", {})
    table = tool.get("vmlab", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.vmlab] is no table", hint="write `[tool.vmlab]`, once")
    for name in table:
        if name not in _BY_NAME:
            hint = nearest(name, _BY_NAME, listing=_LISTING)
            raise UsageError(f"{path}: [tool.vmlab] {name}: unknown key", hint=hint)
    return {name: (_as_text(value), _PROJECT) for name, value in table.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    found = {}
    for variable, text in environment.items():
        if not variable.startswith("VMLAB_") or not text:
            continue  # an empty variable is one that was not given
        name = variable.removeprefix("VMLAB_").lower()
        if name not in _BY_NAME:
            hint = nearest(variable, [setting.variable for setting in SETTINGS], listing=_LISTING)
            raise UsageError(f"{variable}: unknown environment variable", hint=hint)
        found[name] = (text, variable)
    return found


def _as_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
