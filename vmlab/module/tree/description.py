# SPDX-License-Identifier: MIT
"""The description of a module's tree: facts, each with the file and line, or the setting, that it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value, and its origin: `Makefile:3`, or `vmlab.toml: make`."""

    value: T
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """A module that the tree makes."""

    name: str
    """Name of its .ko file, without the suffix."""
    location: str
    """Directory of the .ko, relative to the tree; `.` for the tree itself."""
    origin: str
    condition: str = ""
    """Option on which it depends, `CONFIG_X`, if nothing in the tree sets it."""
    sources: tuple[str, ...] = ()
    """Its C, assembler and Rust files, relative to the tree, as far as they are known."""

    @property
    def loaded_name(self) -> str:
        """Name in the kernel (KBUILD_MODNAME in scripts/Makefile.lib)."""
        return self.name.replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter that a source file declares."""

    name: str
    type: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A patch of `patches/` that dkms applies; `match` is a regular expression for the kernel's release, or empty."""

    name: str
    match: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A BUILD_EXCLUSIVE_… directive of dkms.conf."""

    directive: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A module's tree, and the way to build it."""

    tree: Fact[str]
    """Directory on the host that is copied for a build."""
    sources: tuple[Fact[str], ...]
    """Directories that Kbuild is called for (`M=`), relative to the tree, in their order."""
    prepare: tuple[Fact[str], ...] = ()
    """Shell commands that run in the tree before Kbuild."""
    make: Mapping[str, Fact[str]] = field(default_factory=dict)
    """Variables for Kbuild's command line."""
    modules: tuple[Module, ...] = ()
    parameters: Mapping[str, Fact[str]] = field(default_factory=dict)
    """Parameters to load with: `NAME`, or `MODULE.NAME` if the tree makes several modules."""
    declared: tuple[Parameter, ...] = ()
    firmware: tuple[Fact[str], ...] = ()
    packages: tuple[Fact[str], ...] = ()
    devices: tuple[Fact[str], ...] = ()
    files: Mapping[str, Fact[str]] = field(default_factory=dict)
    """Files that the user adds to the tree: paths on the host, by their name in the tree."""
    needs: tuple[Fact[str], ...] = ()
    """Directories of other modules that this one is linked against."""
    patches: tuple[Patch, ...] = ()
    restrictions: tuple[Restriction, ...] = ()
    notes: tuple[str, ...] = ()
    """Facts that vmlab does not use, such as a script that dkms runs at installation."""
    unclear: tuple[str, ...] = ()
    """Lines that only a run of make or a shell decides; a build runs them in its confinement."""
