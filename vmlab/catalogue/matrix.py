# SPDX-License-Identifier: MIT
"""The matrix: all targets, read strictly from images/targets/*.toml, and their selection by glob."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmlab.catalogue.cloud_image import CloudImage, CloudKernel
from vmlab.catalogue.target import NEWEST, Architecture, Boot, Flavour, Suite, Target
from vmlab.decode import read_toml, structure
from vmlab.errors import UsageError, nearest


@dataclass(frozen=True, slots=True, kw_only=True)
class _TargetRow:
    """A target as written in TOML; the last four keys are for cloud images."""

    id: str
    suite: str
    line: str
    flavour: Flavour = Flavour.CLOUD
    architecture: Architecture = Architecture.AMD64
    pockets: tuple[str, ...] = ()
    default: bool = False
    note: str = ""
    fibdrv: bool = True
    image: str = ""
    kernel: str = ""
    headers: str = ""
    compiler: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Catalogue:
    suite: tuple[Suite, ...] = ()
    image: tuple[CloudImage, ...] = ()
    target: tuple[_TargetRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Matrix:
    """All targets, in the order of the files."""

    targets: tuple[Target, ...] = field(default=())

    @property
    def variants(self) -> tuple[Target, ...]:
        """Every target in every boot mode."""
        return tuple(target.started(boot) for target in self.targets for boot in Boot)

    @property
    def images(self) -> tuple[CloudImage, ...]:
        """Cloud images of the targets, without duplicates."""
        return tuple({target.cloud.image.id: target.cloud.image for target in self.targets if target.cloud}.values())

    def select(self, globs: str) -> tuple[Target, ...]:
        """Return the targets that match `globs` (comma-separated, exact), or the default matrix for an empty string.

        'default' is the default matrix and 'all' every amd64 target. 'packages' and 'cloud' are the amd64 targets whose
        guests are built from packages or from cloud images. A suffix `+strict`, `+kfence` or `+icount` selects a boot
        mode. A glob matches an id with `arm64` or `cloudimg` only if it contains that word, as `*-arm64` does: `*` must
        not need emulation or downloads by accident. Raises `UsageError` with the nearest id for a glob without a match.
        """
        words = [word.strip() for word in globs.split(",") if word.strip()]
        if not words:
            return tuple(target for target in self.targets if target.is_default)
        chosen: set[str] = set()
        ids = [target.id for target in self.targets]
        for word in words:
            glob, plus, suffix = word.partition("+")
            if glob in _NAMED:
                matched = [target.id for target in self.targets if _NAMED[glob](target)]
            else:
                matched = fnmatch.filter([target.id for target in self.targets if _is_meant(target, glob)], glob)
            if not matched:
                hint = nearest(glob, ids, listing=_LISTING)
                more = "" if _LISTING in hint else f" `{_LISTING}` lists all"
                raise UsageError(f"unknown target {word!r}", hint=f"{hint}{more}")
            if plus and suffix not in _WAYS:
                raise UsageError(f"unknown boot mode {suffix!r} in target {word!r}", hint=nearest(suffix, _WAYS))
            chosen.update(f"{name}{plus}{suffix}" for name in matched)
        return tuple(target for target in self.variants if target.id in chosen)


def _is_meant(target: Target, glob: str) -> bool:
    return all(word in glob for word in _SAID if word in target.id)


def _is_amd64(target: Target) -> bool:
    return target.architecture is Architecture.AMD64


_PACKAGED = "_images"
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._+:=~-]|\{release\})*")
_PLAIN_KEYS = ("id", "distribution", "codename", "pockets", "packages", "user", "kernel", "headers", "compiler")
"""Keys whose values become file names, arguments of programs, or words of a guest's root shell."""
_SAID = (str(Architecture.ARM64), "cloudimg")
"""Words that a glob must contain to match an id that contains them."""
_LISTING = "vmlab targets"
_WAYS = [str(boot) for boot in Boot if boot is not Boot.STOCK]
_NAMED: Mapping[str, Callable[[Target], bool]] = {
    "all": _is_amd64,
    "default": lambda target: target.is_default,
    "packages": lambda target: _is_amd64(target) and target.cloud is None,
    "cloud": lambda target: _is_amd64(target) and target.cloud is not None,
}


def catalogue_directory() -> Path:
    """Return the path of images/: beside the package in a checkout, inside it when installed from a wheel."""
    package = Path(__file__).parents[1]
    beside = package.parent / "images"
    return beside if (beside / "targets").is_dir() else package / _PACKAGED


def is_packaged(directory: Path) -> bool:
    """True for the catalogue inside an installed package, which only the package manager may change."""
    return directory.name == _PACKAGED


def load_matrix(directory: Path | None = None, *, own: Path | None = None) -> Matrix:
    """Read every targets/*.toml under `directory` (default: vmlab's catalogue) and under `own`, the user's catalogue.

    Raises `UsageError` for an unknown key, with file and nearest valid word, and for a duplicated id.
    """
    files = [path for folder in (directory or catalogue_directory(), own) if folder for path in _target_files(folder)]
    targets: list[Target] = []
    for path in files:
        targets += _read_catalogue(path)
    _refuse_duplicates(targets)
    return Matrix(tuple(targets))


def _target_files(directory: Path) -> list[Path]:
    folder = directory / "targets"
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UsageError(
            f"no target files in {folder}", hint="a catalogue needs *.toml files in targets/, as images/targets has"
        )
    return files


def _read_catalogue(path: Path) -> list[Target]:
    catalogue = structure(read_toml(path), _Catalogue, where=str(path))
    for kind, rows in (("suite", catalogue.suite), ("image", catalogue.image), ("target", catalogue.target)):
        for row in rows:
            _require_plain(row, f"{path}: {kind} {row.id!r}")
    suites = {suite.id: suite for suite in catalogue.suite}
    images = {image.id: image for image in catalogue.image}
    for image in catalogue.image:
        if len(image.urls) != len(image.checksums) or not image.urls:
            raise UsageError(f"{path}: image {image.id!r}: urls and checksums differ in number", hint="list pairs")
    return [_target(row, suites, images, path) for row in catalogue.target]


def _require_plain(row: Suite | CloudImage | _TargetRow, where: str) -> None:
    """Raise `UsageError` for a name that would be read as an option, a path or shell text where programs get it."""
    for key in _PLAIN_KEYS:
        value = getattr(row, key, "")
        for word in (value,) if isinstance(value, str) else value:
            if word and not _PLAIN.fullmatch(word.replace(" ", "") if key == "codename" else word):
                raise UsageError(
                    f"{where}: {key} must begin with a letter or digit and contain only letters, digits and ._+:=~-, "
                    f"got {word!r}"
                )


def _target(row: _TargetRow, suites: dict[str, Suite], images: dict[str, CloudImage], path: Path) -> Target:
    suite = suites.get(row.suite)
    if suite is None:
        raise UsageError(
            f"{path}: target {row.id!r}: suite: unknown suite {row.suite!r}", hint=nearest(row.suite, suites)
        )
    cloud = _cloud_kernel(row, images, path)
    if not re.fullmatch(r"\d+\.\d+", row.line) and not (row.line == NEWEST and cloud is not None):
        raise UsageError(f"{path}: target {row.id!r}: line must be a kernel line such as '6.12', got {row.line!r}")
    suffix = "" if row.flavour is Flavour.CLOUD or cloud is not None else f"-{row.flavour}"
    architecture = "" if row.architecture is Architecture.AMD64 else f"-{row.architecture}"
    expected = f"{suite.id}-{row.line}{suffix}{architecture}"
    if row.id != expected:
        raise UsageError(f"{path}: target {row.id!r}: id does not match its row", hint=f"rename it to {expected!r}")
    return Target(
        id=row.id,
        suite=suite,
        line=row.line,
        flavour=row.flavour,
        architecture=row.architecture,
        pockets=suite.pockets + row.pockets,
        is_default=row.default,
        note=row.note,
        cloud=cloud,
        has_fibdrv=row.fibdrv,
    )


def _cloud_kernel(row: _TargetRow, images: dict[str, CloudImage], path: Path) -> CloudKernel | None:
    if not row.image:
        if row.kernel or row.headers or row.compiler:
            raise UsageError(
                f"{path}: target {row.id!r}: kernel, headers and compiler need an image",
                hint="add `image`, or remove the three keys: without an image, `line` selects the kernel",
            )
        return None
    image = images.get(row.image)
    if image is None:
        raise UsageError(
            f"{path}: target {row.id!r}: image: unknown image {row.image!r}", hint=nearest(row.image, images)
        )
    if not row.headers:
        raise UsageError(f"{path}: target {row.id!r}: a target with an image needs headers", hint="add `headers = …`")
    return CloudKernel(image=image, kernel=row.kernel, headers=row.headers, compiler=row.compiler)


def _refuse_duplicates(targets: list[Target]) -> None:
    seen: set[str] = set()
    for target in targets:
        if target.id in seen:
            raise UsageError(f"target {target.id!r} is duplicated", hint="remove one row from images/targets/")
        seen.add(target.id)
