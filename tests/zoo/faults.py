# SPDX-License-Identifier: MIT
"""The zoo: each module's fault, and the lab's expected verdict per kernel. Read from zoo.toml."""

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
    """A verdict for some targets only."""

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
    """Reason why a kernel does not show the fault."""
    source: str = ""
    """Directory of the sources, if different from the name."""
    before: tuple[str, ...] = ()
    """Commands that root runs before the module is loaded."""
    then: tuple[str, ...] = ()
    """Commands that root runs afterwards; each may fail."""
    but: tuple[But, ...] = ()

    @property
    def directory(self) -> Path:
        return ZOO / (self.source or self.name)

    def on(self, target_id: str) -> But:
        """The verdict expected on a target."""
        for but in self.but:
            if any(fnmatch.fnmatchcase(target_id, glob) for glob in but.on):
                return but
        return But(on=(target_id,), verdict=self.verdict, reason=self.reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Zoo:
    fault: tuple[Fault, ...]


def load_faults() -> tuple[Fault, ...]:
    """Every fault, in file order."""
    return structure(read_toml(ZOO / "zoo.toml"), _Zoo, where="zoo.toml").fault


def stated_options(reason: str) -> dict[str, bool]:
    """CONFIG_ options that a reason states to be set or not set."""
    return {
        option: match[1] is None
        for part in re.split(r"[;:,]", reason)
        if (match := re.search(r"(?:is|are)( not)? set$", part.strip())) is not None
        for option in re.findall(r"CONFIG_\w+", part)
    }
