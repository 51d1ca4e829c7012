# SPDX-License-Identifier: MIT
"""The Makefile that a user types `make` for: the directories that it calls Kbuild for, and with which variables. Pure.

None of its targets is run: they install git hooks, compile user programs and call sudo. vmlab calls Kbuild itself.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vmlab.module.tree.commands import Command, MakeCommand, commands_of, kept_variables, make_command_of
from vmlab.module.tree.expansion import UNKNOWN, Scope, Variable
from vmlab.module.tree.files import MAKEFILES, TreeFiles
from vmlab.module.tree.makefile import Makefile, MakefileReader, Rule, with_values

_OTHER_GOALS = re.compile(
    r".*(?:clean|install|help|reload|unload|insmod|rmmod|modprobe|check|test|indent|dist|sign|package|dkms|\.conf).*"
)
_GENERATED = (".h", ".c", ".S", ".inc", ".rs")
_DEEPEST = 5
_MOST_GOALS = 50
_NAMES_KBUILD = re.compile(r"\bM\s*=|\bSUBDIRS\s*=|-C\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of Kbuild."""

    directory: str
    """Relative to the tree."""
    variables: Mapping[str, str]
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """Files that a rule of the Makefile makes before it calls Kbuild."""

    directory: str
    names: tuple[str, ...]
    origin: str


@dataclass(slots=True, kw_only=True)
class WrapperReading:
    """The calls of Kbuild that a Makefile makes."""

    calls: list[Call] = field(default_factory=list)
    generated: list[Generated] = field(default_factory=list)
    uncertain: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    """Variables whose values only a run of make would tell."""


def read_wrapper(tree: TreeFiles, directory: str, *, variables: Mapping[str, str] | None = None) -> WrapperReading:
    """Read the calls of Kbuild in a directory's Makefile, and in those that it calls make for."""
    reading = WrapperReading()
    _follow(tree, posixpath.normpath(f"{tree.root}/{directory}"), variables or {}, reading, frozenset())
    return reading


def call_of(tree: TreeFiles, asked: MakeCommand, origin: str, reading: WrapperReading) -> None:
    """Add a make command that calls Kbuild to a reading."""
    inner = tree.inner(posixpath.join(asked.directory, asked.module)) if asked.module is not None else ""
    if asked.module is None or UNKNOWN in asked.module or not inner:
        reading.uncertain.append(f"{origin}: M={_shown(asked.module or '')}")
        return
    reading.dropped += [
        f"{origin}: {name}={_shown(text)}"
        for name, text in asked.variables.items()
        if UNKNOWN in text and _is_own(name)
    ]
    call = Call(directory=inner, variables=kept_variables(asked.variables), origin=origin)
    if call.directory not in {known.directory for known in reading.calls}:
        reading.calls.append(call)


def follow(tree: TreeFiles, command: Command, origin: str, reading: WrapperReading) -> None:
    """Add what a make command outside of any Makefile calls Kbuild for, directly or by a Makefile of the tree."""
    _command(tree, command, origin, reading, frozenset())


def _follow(
    tree: TreeFiles, here: str, variables: Mapping[str, str], reading: WrapperReading, above: frozenset[str]
) -> None:
    path = tree.first(tree.inner(here), *MAKEFILES) if tree.inner(here) else ""
    if not path or here in above or len(above) >= _DEEPEST:
        return
    scope = with_values(Scope(here, tree.paths), {"MAKE": "make", "MAKELEVEL": "0"} | dict(variables))
    made = MakefileReader(scope, read=tree.text, place=tree.place).file(path)
    reading.uncertain += [line for line in made.uncertain if _NAMES_KBUILD.search(line)]
    for rule in made.rules:
        goals = [target for target in rule.targets if not _OTHER_GOALS.fullmatch(target)][:_MOST_GOALS]
        before = len(reading.calls)
        for goal in goals:
            for line, origin in rule.recipe:
                for command in _commands(scope, line, goal, rule, origin, reading):
                    _command(tree, command, origin, reading, above | {here})
        if len(reading.calls) > before:
            _add_exported(made, reading, before)
            _add_generated(tree, here, made, rule, reading)


def _commands(
    scope: Scope, line: str, goal: str, rule: Rule, origin: str, reading: WrapperReading
) -> Iterator[Command]:
    automatic = {"@": goal, "<": " ".join(rule.prerequisites[:1]), "^": " ".join(rule.prerequisites)}
    inner = Scope(scope.here, scope.files, scope.unset, dict(scope.variables))
    inner.variables |= {name: Variable(text, True, "") for name, text in automatic.items()}
    text = inner.expand(line)
    commands = commands_of(text, scope.here)
    if commands is None:
        if "make" in text and _NAMES_KBUILD.search(line):
            reading.uncertain.append(f"{origin}: {line[:200]}")
        return
    yield from (command for command in commands if command.is_make)


def _command(tree: TreeFiles, command: Command, origin: str, reading: WrapperReading, above: frozenset[str]) -> None:
    asked = make_command_of(command)
    if any(_OTHER_GOALS.fullmatch(goal) for goal in asked.goals):
        return
    if asked.module is not None:
        call_of(tree, asked, origin, reading)
    elif asked.directory not in above:
        if UNKNOWN in asked.directory:
            reading.uncertain.append(f"{origin}: make -C {_shown(asked.directory)}")
        _follow(tree, asked.directory, asked.variables, reading, above)


def _add_exported(made: Makefile, reading: WrapperReading, first: int) -> None:
    """Add the options that the Makefile exports, which Kbuild finds in its environment, to its calls."""
    exported = {name: made.scope.value(name) for name in made.exported if name.startswith("CONFIG_")}
    for position in range(first, len(reading.calls)):
        call = reading.calls[position]
        reading.calls[position] = Call(
            directory=call.directory, variables=kept_variables(exported) | dict(call.variables), origin=call.origin
        )


def _add_generated(tree: TreeFiles, here: str, made: Makefile, rule: Rule, reading: WrapperReading) -> None:
    """Add the sources that the rule's prerequisites make and that the tree lacks."""
    makers = {target: maker for maker in made.rules for target in maker.targets if maker.recipe}
    plain = {target: maker for maker in made.rules for target in maker.targets}
    waiting, seen = list(rule.prerequisites), set[str]()
    names: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        inner = tree.inner(posixpath.join(here, name))
        if name in makers and name.endswith(_GENERATED) and inner and inner not in tree.source.sums:
            names[name] = makers[name].origin
        elif name in plain and not name.endswith(_GENERATED):
            waiting += plain[name].prerequisites
    if names:
        found = Generated(directory=tree.inner(here), names=tuple(sorted(names)), origin=min(names.values()))
        if found not in reading.generated:
            reading.generated.append(found)


def _is_own(name: str) -> bool:
    return bool(kept_variables({name: "1"}))


def _shown(text: str) -> str:
    return text.replace(UNKNOWN, "…")[:200]
