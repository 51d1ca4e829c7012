# SPDX-License-Identifier: MIT
"""Expansion of make's variables and functions, as far as no command has to be run. Pure.

A part that depends on a command or on a file that was not read becomes `UNKNOWN`. Text and work are limited: a Makefile
of a few lines can name a text of any length.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

UNKNOWN = "\0"
"""Stands in a text for a part that only a run of make would tell."""
_LONGEST = 1 << 16
_MOST_STEPS = 20_000
_DEEPEST = 40
_PWD = re.compile(r"\s*(?:pwd(?: -[LP])?|echo \$\$?PWD)\s*")
_SUBSTITUTION = re.compile(r"([^:=\s]+):([^=]*)=(.*)", re.DOTALL)
_CLOSING = {"(": ")", "{": "}"}


@dataclass(slots=True)
class Variable:
    """A variable of a Makefile; its text is expanded already, or when it is used."""

    text: str
    is_expanded: bool
    origin: str
    """`FILE:LINE` of its last assignment."""


@dataclass(slots=True)
class Scope:
    """The variables at one point of a Makefile."""

    here: str
    """Working directory of make, absolute."""
    files: Collection[str] = ()
    """Absolute paths of the files that $(wildcard) may find."""
    unset: Callable[[str], str] = lambda _: ""
    """Returns the value of a variable that was not assigned."""
    variables: dict[str, Variable] = field(default_factory=dict)
    _steps: int = 0

    def expand(self, text: str, depth: int = 0) -> str:
        """Return the text with variables and functions expanded."""
        out: list[str] = []
        size = position = 0
        while position < len(text):
            self._steps += 1
            if depth > _DEEPEST or self._steps > _MOST_STEPS or size > _LONGEST:
                return UNKNOWN
            dollar = text.find("$", position)
            if dollar < 0 or dollar + 1 == len(text):
                piece, position = text[position:], len(text)
            elif dollar > position:
                piece, position = text[position:dollar], dollar
            else:
                piece, position = self._reference(text, dollar + 1, depth)
            out.append(piece)
            size += len(piece)
        return "".join(out)

    def value(self, name: str, depth: int = 0) -> str:
        """Return the value of a variable."""
        if UNKNOWN in name:
            return UNKNOWN
        found = self.variables.get(name)
        if found is None:
            return self.here if name in ("CURDIR", "PWD") else self.unset(name)
        return found.text if found.is_expanded else self.expand(found.text, depth + 1)

    def _reference(self, text: str, start: int, depth: int) -> tuple[str, int]:
        """Return the value of the reference whose `$` stands before `start`, and the position behind it."""
        first = text[start]
        if first == "$":
            return "$", start + 1
        if first not in _CLOSING:
            return self.value(first, depth), start + 1
        end = _end_of(text, start)
        if end < 0:
            return UNKNOWN, len(text)
        return self._evaluate(text[start + 1 : end], depth), end + 1

    def _evaluate(self, inner: str, depth: int) -> str:
        name, blank, rest = inner.partition(" ") if " " in inner else inner.partition("\t")
        if blank and name in _FUNCTIONS:
            words = [self.expand(part, depth + 1) for part in _arguments(rest.lstrip(), _FUNCTIONS[name][0])]
            return UNKNOWN if any(UNKNOWN in word for word in words) else _FUNCTIONS[name][1](words, self)
        if name == "shell":
            return self.here if _PWD.fullmatch(rest) else UNKNOWN
        if blank:
            return UNKNOWN
        replaced = _SUBSTITUTION.fullmatch(inner)
        if replaced is None:
            return self.value(self.expand(inner, depth + 1), depth)
        old, new = (part if "%" in part else f"%{part}" for part in replaced.groups()[1:])
        text = self.value(self.expand(replaced[1], depth + 1), depth)
        return UNKNOWN if UNKNOWN in text else _patsubst([old, new, text], self)


def _end_of(text: str, start: int) -> int:
    """Return the position of the bracket that closes the one at `start`; -1 if there is none."""
    opening, closing, open_count = text[start], _CLOSING[text[start]], 0
    for position in range(start, len(text)):
        open_count += (text[position] == opening) - (text[position] == closing)
        if open_count == 0:
            return position
    return -1


def _arguments(text: str, most: int) -> list[str]:
    """Split a function's arguments at the commas outside of brackets, into at most `most`."""
    parts, open_count = [""], 0
    for character in text:
        open_count += (character in "({") - (character in ")}")
        if character == "," and open_count == 0 and len(parts) < most:
            parts.append("")
        else:
            parts[-1] += character
    return parts + [""] * (most - len(parts))


def _matches(pattern: str, word: str) -> str | None:
    """Return the text that `%` stands for, if the word matches."""
    before, percent, after = pattern.partition("%")
    if not percent:
        return "" if word == pattern else None
    is_match = word.startswith(before) and word.endswith(after) and len(word) >= len(before) + len(after)
    return word[len(before) : len(word) - len(after)] if is_match else None


def _patsubst(parts: list[str], _: Scope) -> str:
    pattern, new, text = parts
    replaced = [(word, _matches(pattern, word)) for word in text.split()]
    return " ".join(word if stem is None else new.replace("%", stem, 1) for word, stem in replaced)


def _filter(parts: list[str], *, is_out: bool) -> str:
    patterns, words = parts[0].split(), parts[1].split()
    return " ".join(word for word in words if is_out != any(_matches(p, word) is not None for p in patterns))


def _each(change: Callable[[str], str]) -> Callable[[list[str], Scope], str]:
    return lambda parts, _: " ".join(change(word) for word in parts[-1].split())


def _wildcard(parts: list[str], scope: Scope) -> str:
    found = []
    for pattern in parts[0].split():
        whole = posixpath.normpath(posixpath.join(scope.here, pattern))
        names = sorted(name for name in scope.files if fnmatch.fnmatchcase(name, whole) and _is_level(name, whole))
        prefix = "" if pattern.startswith("/") else f"{scope.here}/"
        found += [name.removeprefix(prefix) for name in names]
    return " ".join(found)


def _is_level(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/")


def _dir(word: str) -> str:
    return f"{posixpath.dirname(word)}/" if "/" in word else "./"


def _absolute(parts: list[str], scope: Scope) -> str:
    return " ".join(posixpath.normpath(posixpath.join(scope.here, word)) for word in parts[0].split())


_FUNCTIONS: dict[str, tuple[int, Callable[[list[str], Scope], str]]] = {
    "subst": (3, lambda parts, _: parts[2].replace(parts[0], parts[1]) if parts[0] else parts[2]),
    "patsubst": (3, _patsubst),
    "strip": (1, lambda parts, _: " ".join(parts[0].split())),
    "filter": (2, lambda parts, _: _filter(parts, is_out=False)),
    "filter-out": (2, lambda parts, _: _filter(parts, is_out=True)),
    "findstring": (2, lambda parts, _: parts[0] if parts[0] in parts[1] else ""),
    "sort": (1, lambda parts, _: " ".join(sorted(set(parts[0].split())))),
    "firstword": (1, lambda parts, _: " ".join(parts[0].split()[:1])),
    "lastword": (1, lambda parts, _: " ".join(parts[0].split()[-1:])),
    "notdir": (1, _each(posixpath.basename)),
    "dir": (1, _each(_dir)),
    "basename": (1, _each(lambda word: posixpath.splitext(word)[0])),
    "addprefix": (2, lambda parts, _: " ".join(parts[0] + word for word in parts[1].split())),
    "addsuffix": (2, lambda parts, _: " ".join(word + parts[0] for word in parts[1].split())),
    "abspath": (1, _absolute),
    "realpath": (1, _absolute),
    "wildcard": (1, _wildcard),
}
"""Number of arguments and meaning of the functions that need no command (make's manual, chapter 8)."""
