# SPDX-License-Identifier: MIT
"""Records of built modules: one module, and all modules of a tree in the order in which they are loaded."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from vmlab.errors import BuildError, UsageError, hides_frames, some
from vmlab.image.image import BUILD_DIRECTORY
from vmlab.module.compiler import Compiler, Match
from vmlab.module.inspect import ModuleInfo
from vmlab.module.source import Source
from vmlab.settings import BuildPlace

__tracebackhide__ = hides_frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A module built for one kernel."""

    ko: Path
    sha256: str
    guest_path: str
    """Path of the .ko in a guest, after a build there or a copy."""
    info: ModuleInfo
    kernel_compiler: Compiler
    compiler: Compiler
    match: Match
    place: BuildPlace
    warnings: tuple[str, ...]
    log: Path
    duration_s: float
    """Seconds that the build took, also if the module is from the cache."""
    is_cached: bool
    root: str = ""
    """Directory of the tree's build, as named in the debug information."""
    needs: tuple[Built, ...] = ()
    """Modules of this tree and of others that are loaded before it, in this order."""
    kernel_modules: tuple[str, ...] = ()
    """Modules of the kernel itself that it depends on."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Parameters that the tree's description loads it with."""
    firmware: Mapping[str, Path] = field(default_factory=dict)
    """Files of the tree for the guest's /lib/firmware, by their names there."""

    @property
    def directory(self) -> str:
        """Build directory of its tree, as named in the debug information."""
        return self.root or str(PurePosixPath(self.guest_path).parent)

    @property
    def fingerprint(self) -> str:
        """Digest of all that is loaded with it."""
        parts: list[str] = []
        for each in (*self.needs, self):
            parts += [each.sha256, *(f"{name}={value}" for name, value in each.parameters.items()), *each.firmware]
        return self.sha256 if len(parts) == 1 else hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltTree:
    """The modules of a tree, built for one kernel, in the order in which they are loaded: `tree["xoro"]` is one."""

    name: str
    """Name of the tree's directory."""
    modules: tuple[Built, ...]
    symvers: Path | None = None
    """Its Module.symvers, for trees that use its symbols."""

    @property
    def fingerprint(self) -> str:
        """Digest of its modules."""
        return hashlib.sha256("\0".join(built.fingerprint for built in self.modules).encode()).hexdigest()

    def __getitem__(self, name: str) -> Built:
        return self.module(name)

    def __iter__(self) -> Iterator[Built]:
        return iter(self.modules)

    def __len__(self) -> int:
        return len(self.modules)

    def module(self, name: str) -> Built:
        """Return the module of this name, with `-` or `_`; raises `UsageError` if there is none."""
        for built in self.modules:
            if built.info.name == name.replace("-", "_"):
                return built
        raise UsageError(f"{self.name!r} makes no module {name!r}", hint=f"it makes {self._names}")

    def chosen(self, source: Source) -> Built:
        """Return the module that the user named; else the only one in the user's directory, or the one named like it.

        Raises `BuildError` with the names if that leaves several.
        """
        if source.module:
            return self.module(source.module)
        folder = posixpath.normpath(f"{BUILD_DIRECTORY}/{source.build_name}/{source.within}")
        inside = [built for built in self.modules if built.guest_path.startswith(f"{folder}/")] or [*self.modules]
        alike = posixpath.basename(folder).replace("-", "_")
        named = [built for built in inside if built.info.name == alike]
        if len(inside) == 1 or len(named) == 1:
            return inside[0] if len(inside) == 1 else named[0]
        first = inside[0].info.name
        raise BuildError(
            f"{self.name!r} makes several modules: {self._names}",
            hint=f"name one: --vmlab-module DIR:{first}, or the fixture modules[{first!r}]",
        )

    @property
    def _names(self) -> str:
        return some(built.info.name for built in self.modules)


def load_order(infos: Sequence[ModuleInfo], stated: Iterable[str] = ()) -> list[ModuleInfo]:
    """Return modules sorted so that each comes after those that it depends on.

    Modules that do not depend on each other keep the order of `stated`, then their own.
    """
    known = {info.name: info for info in infos}
    ranks = {name.replace("-", "_"): rank for rank, name in enumerate(stated)}
    waiting = sorted(infos, key=lambda info: ranks.get(info.name, len(ranks)))
    ordered: dict[str, ModuleInfo] = {}

    def add(info: ModuleInfo, above: frozenset[str]) -> None:
        for name in info.loaded_before:
            if name in known and name not in ordered and name not in above:
                add(known[name], above | {info.name})
        ordered.setdefault(info.name, info)

    for info in waiting:
        add(info, frozenset())
    return list(ordered.values())


def needed(info: ModuleInfo, known: Mapping[str, Built]) -> tuple[Built, ...]:
    """Return the modules that are loaded before one, in order, with all that they need themselves. Pure."""
    found: dict[str, Built] = {}
    for name in info.loaded_before:
        if name in known:
            found |= {each.info.name: each for each in (*known[name].needs, known[name])}
    return tuple(found.values())


def parameters_for(module: str, stated: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters that a description states for a module: those of its name, and those without one. Pure."""
    plain = {name: value for name, value in stated.items() if "." not in name}
    parts = {tuple(name.split(".", 1)): value for name, value in stated.items() if "." in name}
    return plain | {part[1]: value for part, value in parts.items() if part[0].replace("-", "_") == module}
