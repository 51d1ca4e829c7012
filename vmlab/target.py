# SPDX-License-Identifier: MIT
"""The matrix: which kernels there are to test on, read strictly from images/targets/*.toml.

A target names a kernel *line* (6.12) and a flavour, not a version: the newest version of that line is found
in the distribution's index when its image is built, and recorded with it.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from vmlab.decode import read_toml, structure
from vmlab.errors import UsageError, nearest

# Other architectures have no such interrupt, and no such parameter (Documentation/admin-guide/kernel-parameters.txt).
_ONLY_AMD64 = ("unknown_nmi_panic",)


class Flavour(StrEnum):
    """Which of a distribution's builds of one kernel line.

    Debian's cloud kernels lack whole subsystems and boot fastest; rt is PREEMPT_RT.
    """

    CLOUD = "cloud"
    GENERIC = "generic"
    RT = "rt"


class Architecture(StrEnum):
    """Debian's names of the processor architectures."""

    AMD64 = "amd64"
    ARM64 = "arm64"


TRIPLETS = {Architecture.AMD64: "x86_64-linux-gnu", Architecture.ARM64: "aarch64-linux-gnu"}
"""How Debian's compilers for an architecture are called, before a dash."""


class Boot(StrEnum):
    """How a target's kernel is started; not `stock` shows in the target's id: `debian12-6.1+strict`."""

    STOCK = "stock"
    STRICT = "strict"
    """The allocator checks every object, and what the processor can refuse it refuses."""
    ICOUNT = "icount"
    """On one emulated processor for which each instruction takes a nanosecond: the same work takes the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A distribution's release: what a target's root file system is made from."""

    id: str
    distribution: str
    codename: str
    pockets: tuple[str, ...]
    """Archive suites to install from: the release itself, its updates, its security suite."""
    packages: tuple[str, ...] = ()
    """Packages that this suite's guests have besides those of every guest."""
    kernel_parameters: tuple[str, ...] = ()
    """What this suite's kernels are told besides what every kernel is; `unknown_nmi_panic` among them says that a
    non-maskable interrupt was seen to make them panic, on amd64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A row of the matrix."""

    id: str
    suite: Suite
    line: str
    flavour: Flavour
    architecture: Architecture
    pockets: tuple[str, ...]
    is_default: bool
    note: str = ""
    boot: Boot = Boot.STOCK

    @property
    def stock(self) -> Target:
        """The row itself, whose image it is."""
        return self.started(Boot.STOCK)

    def started(self, boot: Boot) -> Target:
        """The same row, started in another way."""
        row = self.id.partition("+")[0]
        return replace(self, id=row if boot is Boot.STOCK else f"{row}+{boot}", boot=boot)

    @property
    def kernel_parameters(self) -> tuple[str, ...]:
        """What its kernel is told besides what every kernel is: its suite's, less what its architecture has not."""
        is_amd64 = self.architecture is Architecture.AMD64
        return tuple(word for word in self.suite.kernel_parameters if is_amd64 or word not in _ONLY_AMD64)

    @property
    def release_pattern(self) -> re.Pattern[str]:
        """Matches this line's and flavour's kernel releases, with the ABI or patch level as its only group.

        Debian names releases `6.1.0-56-cloud-amd64` and, since 6.12, `6.12.117+deb13-cloud-amd64`.
        """
        suffix = {Flavour.CLOUD: "-cloud", Flavour.GENERIC: "", Flavour.RT: "-rt"}[self.flavour]
        middle = r"(?:0-)?([0-9][0-9a-z.+~]*(?:\.[0-9]+)*)"
        return re.compile(rf"^{re.escape(self.line)}\.{middle}{suffix}-{self.architecture}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _TargetRow:
    """A target as people write it."""

    id: str
    suite: str
    line: str
    flavour: Flavour = Flavour.CLOUD
    architecture: Architecture = Architecture.AMD64
    pockets: tuple[str, ...] = ()
    default: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Catalogue:
    suite: tuple[Suite, ...] = ()
    target: tuple[_TargetRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """All targets, in the order of the files."""

    targets: tuple[Target, ...] = field(default=())

    @property
    def variants(self) -> tuple[Target, ...]:
        """Every target in every way it can be started."""
        return tuple(target.started(boot) for target in self.targets for boot in Boot)

    def select(self, globs: str) -> tuple[Target, ...]:
        """The targets that `globs` (comma-separated, exact) names; the default matrix for an empty string.

        'all' is every target of amd64, 'default' the default matrix; `+strict` or `+icount` behind a glob starts it so.
        A `*` stands for no architecture: `all` and globs mean the rows without one in their id,
        unless the glob has it, as `*-arm64` does: what runs on any host is not to need emulators by accident. Raises
        `UsageError` for a glob that matches none, with the nearest id.
        """
        words = [word.strip() for word in globs.split(",") if word.strip()]
        if not words:
            return tuple(target for target in self.targets if target.is_default)
        chosen: set[str] = set()
        ids = [target.id for target in self.targets]
        for word in words:
            glob, plus, suffix = word.partition("+")
            meant = [target for target in self.targets if _is_meant(target, glob)]
            matched = _NAMED[glob](meant) if glob in _NAMED else fnmatch.filter([target.id for target in meant], glob)
            if not matched:
                raise UsageError(f"unknown target {word!r}", hint=f"{nearest(glob, ids)} `vmlab targets` lists all")
            if plus and suffix not in _WAYS:
                raise UsageError(f"unknown way to start a target: {word!r}", hint=nearest(suffix, _WAYS))
            chosen.update(f"{name}{plus}{suffix}" for name in matched)
        return tuple(target for target in self.variants if target.id in chosen)


def _is_meant(target: Target, glob: str) -> bool:
    return target.architecture is Architecture.AMD64 or str(target.architecture) in glob


def architectures_of(targets: Iterable[Target]) -> tuple[Architecture, ...]:
    """The architectures that targets have, each once, in the order of `Architecture`."""
    there = {target.architecture for target in targets}
    return tuple(architecture for architecture in Architecture if architecture in there)


_WAYS = [str(boot) for boot in Boot if boot is not Boot.STOCK]
_NAMED: Mapping[str, Callable[[Iterable[Target]], list[str]]] = {
    "all": lambda targets: [target.id for target in targets],
    "default": lambda targets: [target.id for target in targets if target.is_default],
}


def catalogue_directory() -> Path:
    """Where images/ lies: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parent
    beside = package.parent / "images"
    return beside if (beside / "targets").is_dir() else package / "_images"


def load_matrix(directory: Path | None = None) -> Matrix:
    """Read every targets/*.toml under `directory`; `UsageError` names file, key and the nearest valid word."""
    folder = (directory or catalogue_directory()) / "targets"
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UsageError(f"no target files in {folder}", hint="a checkout or an installed vmlab has some")
    targets: list[Target] = []
    for path in files:
        targets += _read_catalogue(path)
    _refuse_duplicates(targets)
    return Matrix(tuple(targets))


def _read_catalogue(path: Path) -> list[Target]:
    catalogue = structure(read_toml(path), _Catalogue, where=str(path))
    suites = {suite.id: suite for suite in catalogue.suite}
    return [_target(row, suites, path) for row in catalogue.target]


def _target(row: _TargetRow, suites: dict[str, Suite], path: Path) -> Target:
    suite = suites.get(row.suite)
    if suite is None:
        raise UsageError(
            f"{path}: target {row.id!r}: suite: unknown suite {row.suite!r}", hint=nearest(row.suite, suites)
        )
    if not re.fullmatch(r"\d+\.\d+", row.line):
        raise UsageError(f"{path}: target {row.id!r}: line: {row.line!r} is no kernel line", hint="like '6.12'")
    suffix = "" if row.flavour is Flavour.CLOUD else f"-{row.flavour}"
    architecture = "" if row.architecture is Architecture.AMD64 else f"-{row.architecture}"
    expected = f"{suite.id}-{row.line}{suffix}{architecture}"
    if row.id != expected:
        raise UsageError(f"{path}: target {row.id!r}: id does not say what it is", hint=f"name it {expected!r}")
    return Target(
        id=row.id,
        suite=suite,
        line=row.line,
        flavour=row.flavour,
        architecture=row.architecture,
        pockets=suite.pockets + row.pockets,
        is_default=row.default,
        note=row.note,
    )


def _refuse_duplicates(targets: list[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.id in seen:
            raise UsageError(f"target {target.id!r} is there twice", hint="remove one row from images/targets/")
        seen.add(target.id)
