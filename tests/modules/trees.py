# SPDX-License-Identifier: MIT
"""The table of trees: modules.toml, decoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vmlab.decode import read_toml, structure

TREES = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A tree, and what the lab is to say of it."""

    name: str
    does: str
    modules: tuple[str, ...]
    """Its modules, each below its directory."""
    sources: tuple[str, ...] = (".",)
    condition: str = ""
    make: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    unclear: str = ""
    """Beginning of the line that a shell or make must be asked about; empty if the files tell all."""
    builds: str = ""
    """Part of the reason for which it does not build; empty if it builds."""
    loads: str = ""
    """Beginning of the reason for which it does not load; empty if it loads."""

    @property
    def directory(self) -> Path:
        return TREES / self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    tree: tuple[Tree, ...]


def known_trees() -> tuple[Tree, ...]:
    """Return all rows of modules.toml."""
    path = TREES / "modules.toml"
    return structure(read_toml(path), _Table, where=str(path)).tree
