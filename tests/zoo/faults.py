# SPDX-License-Identifier: MIT
"""The zoo: which module has which fault, and what the lab must say of it on which kernel. Read from zoo.toml."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from pathlib import Path

from vmlab.decode import read_toml, structure

ZOO = Path(__file__).parent
NOT_VISIBLE = "not visible"


@dataclass(frozen=True, slots=True, kw_only=True)
class But:
    """A verdict on some targets only."""

    on: tuple[str, ...]
    verdict: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One bad module."""

    name: str
    does: str
    verdict: str
    reason: str = ""
    """Why a kernel does not show it."""
    source: str = ""
    """The directory, where it is another than the name."""
    before: tuple[str, ...] = ()
    """What root runs before the module is loaded."""
    then: tuple[str, ...] = ()
    """What root runs after; each may fail."""
    but: tuple[But, ...] = ()

    @property
    def directory(self) -> Path:
        return ZOO / (self.source or self.name)

    def on(self, target_id: str) -> But:
        """The verdict on a target."""
        for but in self.but:
            if any(fnmatch.fnmatchcase(target_id, glob) for glob in but.on):
                return but
        return But(on=(target_id,), verdict=self.verdict, reason=self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zoo:
    fault: tuple[Fault, ...]


def load_faults() -> tuple[Fault, ...]:
    """Every fault, in the order of the file."""
    return structure(read_toml(ZOO / "zoo.toml"), _Zoo, where="zoo.toml").fault


def stated_options(reason: str) -> dict[str, bool]:
    """The CONFIG_ options that a reason says are set, or are not."""
    return {
        option: match[1] is None
        for part in re.split(r"[;:,]", reason)
        if (match := re.search(r"(?:is|are)( not)? set$", part.strip())) is not None
        for option in re.findall(r"CONFIG_\w+", part)
    }
