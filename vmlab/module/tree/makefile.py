# SPDX-License-Identifier: MIT
"""Reads a Makefile without running it: assignments, conditions, includes and rules. Pure.

A condition that only a run of make would decide makes what it contains uncertain: the variables that it assigns become
unknown, and its lines are told in `Makefile.uncertain`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from vmlab.module.tree.expansion import UNKNOWN, Scope, Variable

_ASSIGNMENT = re.compile(
    r"(?P<words>(?:(?:export|override|private)\s+)*)(?P<name>[^\s:#=+?!]+?)\s*(?P<how>\+=|\?=|:{1,3}=|!=|=)(?P<text>.*)",
    re.DOTALL,
)
_CONDITION = re.compile(r"(?P<word>ifeq|ifneq|ifdef|ifndef)\b\s*(?P<rest>.*)", re.DOTALL)
_INCLUDE = re.compile(r"(?P<word>-include|sinclude|include)\s+(?P<names>.*)", re.DOTALL)
_QUOTED = re.compile(r"""(["'])(.*?)\1\s*(["'])(.*?)\3\s*$""")
_ROUND = str.maketrans("{}", "()")
_LONGEST_LINE = 1 << 14
_MOST_INCLUDES = 50
_MOST_RULES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule; its recipe is not expanded."""

    targets: tuple[str, ...]
    prerequisites: tuple[str, ...]
    recipe: list[tuple[str, str]]
    """Lines, each with its `FILE:LINE`."""
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word of a list variable such as `obj-m`, with the line that adds it."""

    text: str
    origin: str


@dataclass(slots=True, kw_only=True)
class Makefile:
    """The variables and rules of a Makefile."""

    scope: Scope
    lists: dict[str, list[Word]] = field(default_factory=dict)
    """Words of the variables whose names the reader was asked for; a name may contain `$(CONFIG_X)`."""
    rules: list[Rule] = field(default_factory=list)
    exported: set[str] = field(default_factory=set)
    uncertain: list[str] = field(default_factory=list)
    """`FILE:LINE: text` of lines that only a run of make would decide."""


class MakefileReader:
    """Reads one Makefile and what it includes."""

    def __init__(
        self,
        scope: Scope,
        *,
        read: Callable[[str], str | None],
        is_list: Callable[[str], bool] = lambda _: False,
        place: Callable[[str], str] = lambda path: path,
    ) -> None:
        """Make a reader. `read` returns the text of a file, given its absolute path, None for one outside of the tree;
        `is_list` is true for the variables whose words are asked for; `place` names a file in messages."""
        self.made = Makefile(scope=scope)
        self._read, self._is_list, self._place = read, is_list, place
        self._states: list[tuple[bool | None, bool]] = []
        """State of each open condition: it holds, or None if unknown; an earlier branch of it was taken."""
        self._rule: Rule | None = None
        self._includes = 0

    def file(self, path: str) -> Makefile:
        """Read a file, given its absolute path."""
        text = self._read(path)
        if text is not None:
            scope = self.made.scope
            scope.variables["MAKEFILE_LIST"] = Variable(path, True, "")
            for number, line in _logical_lines(text):
                self._line(line, f"{self._place(path)}:{number}")
        return self.made

    def _line(self, line: str, origin: str) -> None:
        if line.startswith("\t") and self._rule is not None:
            if self._is_taken() is not False:
                self._rule.recipe.append((line.strip(), origin))
            return
        bare = _without_comment(line[: _LONGEST_LINE + 1]).strip()
        if len(bare) > _LONGEST_LINE:
            self.made.uncertain.append(f"{origin}: a line of more than {_LONGEST_LINE} characters")
            return
        if not bare or self._conditional(bare, origin) or self._is_taken() is False:
            return
        if self._is_taken() is None and not bare.startswith(("export", "unexport", ".")):
            self._uncertain_line(bare, origin)
        included = _INCLUDE.fullmatch(bare)
        if included is not None:
            self._include(included, origin)
            return
        assigned = _ASSIGNMENT.fullmatch(bare)
        if assigned is not None:
            self._rule = None
            self._assign(assigned, origin)
        elif bare.startswith("export "):
            self.made.exported |= set(self.made.scope.expand(bare.removeprefix("export ")).split())
        elif ":" in bare:
            self._add_rule(bare, origin)

    def _uncertain_line(self, bare: str, origin: str) -> None:
        assigned = _ASSIGNMENT.fullmatch(bare)
        if assigned is None or self._is_list(assigned["name"]):
            self.made.uncertain.append(f"{origin}: {bare}")

    def _conditional(self, line: str, origin: str) -> bool:
        """Follow a line that opens, changes or closes a condition; False for any other line."""
        if line.split("#")[0].strip() == "endif":
            self._states = self._states[:-1]
            return True
        is_else = line.split()[0] == "else"
        condition = _CONDITION.fullmatch(line[4:].strip() if is_else else line)
        if not is_else and condition is None:
            return False
        was_taken: bool = False
        if is_else and self._states:
            state, earlier = self._states.pop()
            was_taken = earlier or state is True
            if state is None and condition is None:
                self._states.append((None, was_taken))
                return True
        holds = True if condition is None else self._holds(condition, origin)
        self._states.append((False if was_taken else holds, was_taken))
        return True

    def _holds(self, condition: re.Match[str], origin: str) -> bool | None:
        scope, rest = self.made.scope, condition["rest"]
        if condition["word"] in ("ifdef", "ifndef"):
            value = scope.value(scope.expand(rest.strip()))
            return None if value == UNKNOWN else bool(value) == (condition["word"] == "ifdef")
        quoted = _QUOTED.match(rest)
        if quoted is not None:
            left, right = scope.expand(quoted[2]), scope.expand(quoted[4])
        else:
            parts = _halves(rest.strip())
            if parts is None:
                self.made.uncertain.append(f"{origin}: {condition[0]}")
                return None
            left, right = (scope.expand(part.strip()).strip() for part in parts)
        if UNKNOWN in left + right and not _differ(left, right):
            return None
        return (left == right) == (condition["word"] == "ifeq")

    def _is_taken(self) -> bool | None:
        """True if the current line counts, False if not, None if unknown."""
        states = [state for state, _ in self._states]
        return False if False in states else None if None in states else True

    def _assign(self, assigned: re.Match[str], origin: str) -> None:
        scope, how, text = self.made.scope, assigned["how"], assigned["text"].strip()
        name = scope.expand(assigned["name"])
        # A name such as `obj-$(CONFIG_X)` is kept if the option is unknown.
        name = assigned["name"].translate(_ROUND) if UNKNOWN in name else name
        if self._is_list(name):
            self._add_words(name, how, text, origin)
            return
        if "export" in assigned["words"].split():
            self.made.exported.add(name)
        if self._is_taken() is None:
            scope.variables[name] = Variable(UNKNOWN, True, origin)
            return
        old = scope.variables.get(name)
        if how == "?=":
            if old is None and (scope.unset(name) or name in ("PWD", "CURDIR")):
                return
            scope.variables.setdefault(name, Variable(text, False, origin))
        elif how == "!=":
            scope.variables[name] = Variable(UNKNOWN, True, origin)
        elif how == "+=" and old is not None:
            more = scope.expand(text) if old.is_expanded else text
            scope.variables[name] = Variable(f"{old.text} {more}"[: 1 << 16], old.is_expanded, origin)
        else:
            is_now = how.startswith(":")
            scope.variables[name] = Variable(scope.expand(text) if is_now else text, is_now, origin)

    def _add_words(self, name: str, how: str, text: str, origin: str) -> None:
        value = self.made.scope.expand(text)
        if UNKNOWN in value:
            self.made.uncertain.append(f"{origin}: {name} {how} {text}")
        words = [Word(text=word, origin=origin) for word in value.split() if UNKNOWN not in word]
        old = self.made.lists.get(name, [])
        if how == "?=" and old:
            return
        self.made.lists[name] = [*old, *words] if how == "+=" else words

    def _include(self, included: re.Match[str], origin: str) -> None:
        for name in self.made.scope.expand(included["names"]).split():
            self._includes += 1
            path = posixpath.normpath(posixpath.join(self.made.scope.here, name))
            text = self._read(path) if UNKNOWN not in name and self._includes <= _MOST_INCLUDES else None
            if text is not None:
                self.file(path)
            elif included["word"] == "include":
                self.made.uncertain.append(f"{origin}: {included[0]}")

    def _add_rule(self, line: str, origin: str) -> None:
        head, _, inline = line.partition(";")
        targets, _, prerequisites = head.partition(":")
        expand = self.made.scope.expand
        wanted = expand(prerequisites.lstrip(":")).replace("|", " ").split()
        self._rule = Rule(
            targets=tuple(word for word in expand(targets).split() if UNKNOWN not in word),
            prerequisites=tuple(word for word in wanted if "=" not in word and UNKNOWN not in word),
            recipe=[(inline.strip(), origin)] if inline.strip() else [],
            origin=origin,
        )
        if len(self.made.rules) < _MOST_RULES:
            self.made.rules.append(self._rule)


def with_values(scope: Scope, values: Mapping[str, str], origin: str = "") -> Scope:
    """Return the scope with variables set, as by make's command line."""
    scope.variables |= {name: Variable(text, True, origin) for name, text in values.items()}
    return scope


def _differ(left: str, right: str) -> bool:
    """True if two texts differ whatever their unknown parts are: one is empty, and the other has known parts too."""
    return (not left and bool(right.strip(UNKNOWN))) or (not right and bool(left.strip(UNKNOWN)))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers; lines that end with a backslash are joined, and `define` blocks left out."""
    first, held, is_in_define = 0, "", False
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        first = first or number
        if line.endswith("\\"):
            held += line[:-1].rstrip() + " " if not held else line[:-1].strip() + " "
            continue
        whole = held + (line.strip() if held else line)
        word = whole.split(maxsplit=1)[0] if whole.strip() else ""
        if word == "define":
            is_in_define = True
        if not is_in_define:
            yield first, whole
        is_in_define = is_in_define and word != "endef"
        first, held = 0, ""
    if held:
        yield first, held


def _without_comment(line: str) -> str:
    position = -1
    while (position := line.find("#", position + 1)) >= 0:
        if not line[:position].endswith("\\"):
            return line[:position]
    return line


def _halves(text: str) -> tuple[str, str] | None:
    """Split `(left,right)` at the comma outside of inner brackets."""
    if not (text.startswith("(") and text.endswith(")")):
        return None
    open_count = 0
    for position, character in enumerate(text[1:-1], start=1):
        open_count += (character in "({") - (character in ")}")
        if character == "," and open_count == 0:
            return text[1:position], text[position + 1 : -1]
    return None
