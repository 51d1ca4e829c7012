# SPDX-License-Identifier: MIT
"""Rows of the map from the facts of its lines, and the names that took the place of others."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from apimap.collect import MENTIONED, Facts

from vmlab.api.map_file import ApiMap, Line
from vmlab.api.rows import Kind, Row

_CLOSE = 0.75
"""Similarity of two names that makes one the successor of the other, if their types are equal too."""
_WORDS = {"del": "delete", "rem": "remove", "unreg": "unregister", "reg": "register", "init": "setup"}
_MOST_OF_A_TYPE = 3000
"""Functions of one type, such as `void (struct device *)`, that are compared by name."""
_VERBS = frozenset(
    re.findall(
        r"\w+",
        """add alloc attach begin cleanup clear complete create dec delete destroy detach disable down enable end exit
        finish free get inc init install lock lookup off on open close put read register release remove reset resume
        set setup show start stop store suspend uninstall unlock unregister up update write""",
    )
)
"""Words of opposite or different actions: two names that differ in one of them are two functions."""


def facts_of(known: ApiMap) -> dict[str, Facts]:
    """Return the facts of each line that a map holds, by line, without the derived ones."""
    found: dict[str, Facts] = {line.line: {} for line in known.lines}
    for row in known.all_rows():
        if row.kind != Kind.SUCCESSOR:
            for line, value in zip(known.lines, row.values, strict=True):
                if value is not None:
                    found[line.line][row.name, row.kind] = value
    return found


def rows_of(lines: Sequence[Line], facts: Mapping[str, Facts]) -> list[Row]:
    """Return all rows, with successors, for lines in their order."""
    columns = [dict(facts[line.line]) for line in lines]
    usable = set[str]().union(*(_callable(column) for column in columns))
    _keep_mentioned(columns, usable)
    keys = {key for column in columns for key in column if _is_shown(key)}
    # A function that no module can call is known by its header only.
    keys -= {key for key in keys if key[1] == Kind.PROTOTYPE and key[0] not in usable}
    rows = [
        Row(name=name, kind=Kind(kind), values=tuple(column.get((name, kind)) for column in columns))
        for name, kind in keys
    ]
    return [*rows, *_successors(lines, columns)]


def _keep_mentioned(columns: Sequence[Facts], usable: Collection[str]) -> None:
    """Replace mentions by a declaration of unknown form, where another line has the name.

    A name that headers use is not gone, even if its declaration has a form that was not recognized.
    """
    constants = {name for column in columns for name, kind in column if kind in (Kind.CONSTANT, Kind.MACRO)}
    for column in columns:
        for name, _ in [key for key in column if key[1] == MENTIONED]:
            del column[name, MENTIONED]
            if name in usable and (name, Kind.EXPORT) not in column:
                column[name, Kind.HEADER] = "u:-"
            elif name in constants:
                column[name, Kind.CONSTANT] = "?"


def _is_shown(key: tuple[str, str]) -> bool:
    # Tabs and newlines separate; a BTF name of another alphabet is an accident of a damaged string.
    return key[0].isascii() and key[0].isprintable()


def _successors(lines: Sequence[Line], columns: Sequence[Facts]) -> Iterator[Row]:
    found: dict[str, list[str | None]] = defaultdict(lambda: [None] * len(lines))
    for number in range(1, len(lines)):
        # A line with fewer sources cannot say that a name is gone.
        older = next((n for n in range(number - 1, -1, -1) if _is_complete(lines[n])), None)
        if older is None or not _is_complete(lines[number]):
            continue
        pairs = [*_function_pairs(columns[older], columns[number]), *_member_pairs(columns[older], columns[number])]
        for name, successor in pairs:
            found[name][number] = successor
    for name, values in found.items():
        yield Row(name=name, kind=Kind.SUCCESSOR, values=tuple(values))


def _is_complete(line: Line) -> bool:
    return line.has_headers and line.has_modules


def _callable(facts: Facts) -> set[str]:
    usable = {name for (name, kind), value in facts.items() if kind == Kind.HEADER and value[0] in "imu"}
    return usable | {name for name, kind in facts if kind == Kind.EXPORT}


def _function_pairs(older: Facts, newer: Facts) -> Iterator[tuple[str, str]]:
    there, now = _callable(older), _callable(newer)
    by_type: dict[str, list[str]] = defaultdict(list)
    for name in now:
        kind = newer.get((name, Kind.PROTOTYPE))
        if kind is not None:
            by_type[kind.removeprefix("~")].append(name)
    for name in sorted(there - now):
        alias = older.get((name, Kind.ALIAS), "")
        if alias in now:
            yield name, f"={alias}"
            continue
        shown = older.get((name, Kind.PROTOTYPE))
        same = by_type.get(shown.removeprefix("~"), []) if shown is not None else []
        words = sorted(_words(name))
        others = [other for other in same if other not in there or sorted(_words(other)) == words]
        nearest = _nearest(name, others) if len(others) <= _MOST_OF_A_TYPE else ""
        if nearest:
            yield name, f"~{nearest}"


def _nearest(name: str, others: Iterable[str]) -> str:
    """Return the name that is closest to another, or an empty string if none is close or two are equally close."""
    ranked = sorted(((_similarity(name, other), other) for other in others), reverse=True)
    if not ranked or ranked[0][0] < _CLOSE or (len(ranked) > 1 and ranked[1][0] > ranked[0][0] - 0.02):
        return ""
    return ranked[0][1]


def _similarity(name: str, other: str) -> float:
    words, theirs = set(_words(name)), set(_words(other))
    if words ^ theirs and (words - theirs) & _VERBS and (theirs - words) & _VERBS:
        return 0.0
    shared = 2 * len(words & theirs) / (len(words) + len(theirs))
    if shared < 0.5:
        return 0.0
    return max(shared if len(words) > 1 else 0.0, difflib.SequenceMatcher(None, name, other).ratio() * 0.95)


def _words(name: str) -> list[str]:
    return [_WORDS.get(word, word) for word in name.strip("_").lower().split("_")]


def _member_pairs(older: Facts, newer: Facts) -> Iterator[tuple[str, str]]:
    """Yield members that have another name in the newer line: one gone and one new of the same type."""
    gone, new = _exclusive_members(older, newer), _exclusive_members(newer, older)
    for structure, members in sorted(gone.items()):
        known = {name.strip("_"): name for names in new.get(structure, {}).values() for name in names}
        for kind, names in members.items():
            others = new.get(structure, {}).get(kind, [])
            renamed = {name: known[name.strip("_")] for name in names if name.strip("_") in known}
            yield from ((f"{structure}.{name}", f"+{other}") for name, other in renamed.items())
            if not renamed and len(names) == 1 and (nearest := _nearest(names[0], others)):
                yield f"{structure}.{names[0]}", f"~{nearest}"


def _exclusive_members(facts: Facts, others: Facts) -> dict[str, dict[str, list[str]]]:
    """Members by structure and type that another line's structure of the same name lacks."""
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for (name, kind), value in facts.items():
        if kind == Kind.MEMBER and (name, kind) not in others:
            structure, _, member = name.partition(".")
            if (structure, Kind.MEMBERS) in others:
                found[structure][value].append(member)
    return found
