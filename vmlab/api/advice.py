# SPDX-License-Identifier: MIT
"""Advice on changes of the kernel's API: what to write instead, since which release, and by which commit.

images/api-advice.toml has the facts. Each is proved by a build on both sides of the change: `nox -s advice`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.catalogue.release import line_of
from vmlab.decode import read_toml, structure
from vmlab.errors import UsageError

MOST_FACTS = 150
_COMMIT = re.compile(r"[0-9a-f]{12}")
_RELEASE = re.compile(r"\d{1,2}\.\d{1,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One change: code for the kernels before a release, and for those from it on."""

    name: str
    """Name that the compiler reports on one side: a function, type or header, or `structure.member`."""
    also: tuple[str, ...] = ()
    """Other names that change with it, such as the new one."""
    release: str
    """First release with the new form, `6.8`."""
    commit: str
    """Its commit in Linux's repository, 12 digits."""
    instead: str
    """The new form in words, for a reader who knows the old one."""
    include: tuple[str, ...] = ()
    """Headers for both forms."""
    before: str = ""
    """Declarations at file level, for both forms."""
    parameters: str = "void"
    """Parameters of the function around the forms; unused if `is_file_level`."""
    old: str
    """Code for kernels before the release."""
    new: str
    """Code for kernels from the release on."""
    is_file_level: bool = False
    """True if the forms are declarations, not statements."""
    after: str = ""
    """Code after both forms, in the function or at file level."""
    backports: str = ""
    """Distribution kernels that have the new form earlier, and the macro that tells."""

    @property
    def condition(self) -> str:
        """Preprocessor's condition for the new form: `LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)`."""
        major, minor = line_of(self.release)
        return f"LINUX_VERSION_CODE >= KERNEL_VERSION({major}, {minor}, 0)"

    @property
    def sentence(self) -> str:
        """Release, commit and the new form, in one sentence."""
        said = f"since v{self.release}, commit {self.commit}: {self.instead}"
        return f"{said}; {self.backports}" if self.backports else said

    @property
    def guard(self) -> str:
        """The condition that chooses between the forms, on one line."""
        return f"#if {self.condition}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    advice: tuple[Advice, ...]


class AdviceBook:
    """All advice, by name."""

    def __init__(self, facts: Iterable[Advice]) -> None:
        """Index facts by each of their names."""
        self.facts = tuple(facts)
        self._by_name: dict[str, list[Advice]] = {}
        for fact in self.facts:
            for name in (fact.name, *fact.also):
                self._by_name.setdefault(name, []).append(fact)

    def about(self, name: str, line: str) -> Advice | None:
        """Return the advice on a name for a kernel line: the newest change that the line has, else the next one."""
        facts = sorted(self._by_name.get(name, []), key=lambda fact: line_of(fact.release))
        behind = [fact for fact in facts if line_of(fact.release) <= line_of(line)]
        return behind[-1] if behind else facts[0] if facts else None


def read_advice(path: Path) -> AdviceBook:
    """Read the file of advice strictly; raises `UsageError` that names the file and the entry."""
    facts = structure(_tables(path), _File, where=path.name).advice
    if len(facts) > MOST_FACTS:
        raise UsageError(f"{path.name}: {len(facts)} facts, expected at most {MOST_FACTS}")
    for fact in facts:
        if not _COMMIT.fullmatch(fact.commit):
            raise UsageError(f"{path.name}: {fact.name}: commit must have 12 hexadecimal digits, got {fact.commit!r}")
        if not _RELEASE.fullmatch(fact.release):
            raise UsageError(f"{path.name}: {fact.name}: release must be like 6.8, got {fact.release!r}")
    return AdviceBook(facts)


def _tables(path: Path) -> Mapping[str, object]:
    return read_toml(path)
