# SPDX-License-Identifier: MIT
"""Names that a module uses and the newest kernel line changed, from its undefined symbols and its sources. Pure.

The sources are searched for shapes, in all branches of `#if`: a name that a guard hides from the newest kernel counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from vmlab.api.explain import Cause, Explanation, Question, Topic, explain
from vmlab.api.history import History

_NOISE = re.compile(r"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|$)|//[^\n]*+|\"(?:[^\"\\\n]|\\.)*+\"")
_CALL = re.compile(r"\b([A-Za-z_]\w{2,200})\s{0,8}\(")
_CONSTANT = re.compile(r"\b[A-Z][A-Z0-9]{0,40}_\w{1,100}\b")
_MEMBER = re.compile(r"(?:->|\.)\s{0,8}([A-Za-z_]\w{0,200})\b")
_STRUCT = re.compile(r"\bstruct\s{1,8}([A-Za-z_]\w{0,200})")
_INCLUDE = re.compile(r"^[ \t]{0,40}#[ \t]{0,8}include[ \t]{0,8}<([\w./+-]{1,200})>", re.MULTILINE)
_MOST_NAMES = 20_000
"""Names of one kind that are looked up: a driver of 100,000 lines calls some 5000 functions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Names that a module uses."""

    symbols: frozenset[str] = field(default=frozenset())
    """Symbols that its .ko leaves undefined."""
    calls: frozenset[str] = field(default=frozenset())
    constants: frozenset[str] = field(default=frozenset())
    members: frozenset[str] = field(default=frozenset())
    structs: frozenset[str] = field(default=frozenset())
    headers: frozenset[str] = field(default=frozenset())


def used_in(texts: Iterable[str], symbols: Iterable[str] = ()) -> Used:
    """Return the names in sources, and the undefined symbols of what was built from them: 10 MB take a second."""
    found: dict[str, set[str]] = {name: set() for name in ("calls", "constants", "members", "structs", "headers")}
    for text in texts:
        found["headers"] |= set(_INCLUDE.findall(text))
        code = _NOISE.sub(" ", text)
        found["calls"] |= set(_CALL.findall(code))
        found["constants"] |= set(_CONSTANT.findall(code))
        found["members"] |= set(_MEMBER.findall(code))
        found["structs"] |= set(_STRUCT.findall(code))
    kept = {name: frozenset(sorted(names)[:_MOST_NAMES]) for name, names in found.items()}
    return Used(symbols=frozenset(symbols), **kept)


def changes_ahead(used: Used, history: History) -> list[Explanation]:
    """Return what the newest line changed of these names, compared with the line before it; sorted by text.

    A name is reported once. Reads the whole map, in about a second. Structures are those of the generic flavour.
    """
    newest = len(history.lines) - 1
    complete = [number for number, line in enumerate(history.lines[:newest]) if line.has_headers and line.has_modules]
    if not complete:
        return []
    changed = history.api.changed(complete[-1], newest)
    line = history.lines[newest]
    found: dict[tuple[str, str], Explanation] = {}
    for topic, name, owner in _questions(used, changed):
        said = explain(Question(topic=topic, name=name, owner=owner, line=line.line), history)
        if said.cause is Cause.API_CHANGED and said.step is not None and said.step.newer == line:
            found.setdefault((name, owner), said)
    return sorted(found.values(), key=lambda said: said.text)


def _questions(used: Used, changed: frozenset[str]) -> Iterator[tuple[Topic, str, str]]:
    for name in sorted(used.symbols & changed):
        yield Topic.SYMBOL, name, ""
    for name in sorted((used.symbols | used.calls) & changed):
        yield from ((topic, name, "") for topic in (Topic.FUNCTION, Topic.CALL))
    for name in sorted((used.constants - used.calls) & changed):
        yield Topic.IDENTIFIER, name, ""
    yield from ((Topic.HEADER, name, "") for name in sorted(used.headers & changed))
    yield from ((Topic.TYPE, name, "") for name in sorted(used.structs & changed))
    for owner, dot, name in sorted(name.partition(".") for name in changed if "." in name):
        if dot and owner in used.structs and name in used.members:
            yield from ((topic, name, owner) for topic in (Topic.MEMBER, Topic.MEMBER_TYPE))
