# SPDX-License-Identifier: MIT
"""Presence and form of a name in each kernel line, and the two neighbours between which it changed. Pure."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vmlab.api.map_file import ApiMap, Line
from vmlab.api.rows import Kind, Row
from vmlab.catalogue.release import line_of

States = tuple[bool | None, ...]
"""Presence in each line, oldest first; None where the line's packages cannot tell."""
Rows = Mapping[Kind, Row]
_PROTOTYPE = re.compile(r"(?P<returned>.*?)\((?!\*)(?P<parameters>.*)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Two neighbours among the lines that tell, and the name's form in each; empty where it is absent."""

    older: Line
    newer: Line
    before: str = ""
    after: str = ""


class History:
    """The map, asked about names as a module uses them."""

    def __init__(self, api: ApiMap) -> None:
        """Ask this map."""
        self.api = api
        self.lines = api.lines

    def position(self, line: str) -> int:
        """Return the index of the newest line in the map that is not newer than this one; -1 if all are newer."""
        wanted = line_of(line)
        return max((n for n, known in enumerate(self.lines) if line_of(known.line) <= wanted), default=-1)

    def callables(self, rows: Rows) -> States:
        """Return the lines in which modules can use a function, macro or variable of this name."""
        inline = {n for n, value in _values(rows, Kind.HEADER) if value[:1] in "imu"}
        is_inline_somewhere = bool(inline) or Kind.MACRO in rows
        places = [value.split(" ")[-1] for _, value in _values(rows, Kind.EXPORT)]
        is_of_a_module = any(place != "vmlinux" for place in places)

        def state(number: int, line: Line) -> bool | None:
            if _at(rows, Kind.EXPORT, number) or number in inline or _at(rows, Kind.MACRO, number) is not None:
                return True
            if line.has_headers:
                return False
            return None if is_inline_somewhere or (is_of_a_module and not line.has_modules) else False

        return self._states(state)

    def exports(self, rows: Rows) -> States:
        """Return the lines that export a symbol to modules."""
        places = [value.split(" ")[-1] for _, value in _values(rows, Kind.EXPORT)]
        is_of_the_kernel = all(place == "vmlinux" for place in places)

        def state(number: int, line: Line) -> bool | None:
            if _at(rows, Kind.EXPORT, number) is not None:
                return True
            return False if line.has_headers or line.has_modules or is_of_the_kernel else None

        return self._states(state)

    def identifiers(self, rows: Rows) -> States:
        """Return the lines in which an expression may have this name: a function, macro, variable or constant."""
        return tuple(map(_either, self.callables(rows), self.constants(rows), self._declared(rows)))

    def constants(self, rows: Rows) -> States:
        """Return the lines with a constant or a macro of this name."""
        return self._in_headers(rows, Kind.CONSTANT, Kind.MACRO)

    def types(self, rows: Rows) -> States:
        """Return the lines with a type of this name."""
        return self._in_headers(rows, Kind.TYPE)

    def files(self, rows: Rows) -> States:
        """Return the lines with a header of this name."""
        return self._in_headers(rows, Kind.FILE)

    def members(self, structure: Rows, member: Rows) -> States:
        """Return the lines in which a structure has a member."""

        def state(number: int, line: Line) -> bool | None:
            del line
            if _at(member, Kind.MEMBER, number) is not None:
                return True
            return False if _at(structure, Kind.MEMBERS, number) is not None else None

        return self._states(state)

    def is_there(self, states: States, at: int, line: str) -> bool:
        """True if a line has something: one that is not in the map, if both of its neighbours have it."""
        if at < 0 or not states[at]:
            return False
        is_between = line_of(self.lines[at].line) != line_of(line) and at + 1 < len(states)
        return not is_between or states[at + 1] is not False

    def loss(self, states: States, at: int) -> Step | None:
        """Return the neighbours between which something that an older line has is gone; None if it is not gone."""
        there = max((n for n in range(at + 1) if states[n]), default=None)
        if there is None:
            return None
        gone = next((n for n in range(there + 1, len(states)) if states[n] is False), None)
        return None if gone is None else Step(older=self.lines[there], newer=self.lines[gone])

    def gain(self, states: States, at: int) -> Step | None:
        """Return the neighbours between which something that this line lacks appears first; None if it does not."""
        new = next((n for n in range(max(at, 0), len(states)) if states[n]), None)
        if new is None:
            return None
        lacking = max((n for n in range(new) if states[n] is False), default=None)
        return None if lacking is None else Step(older=self.lines[lacking], newer=self.lines[new])

    def forms(self, rows: Rows) -> tuple[str, ...]:
        """Return the form of a function in each line: its type, `macro N`, or an empty string where it is unknown."""
        found = []
        for number in range(len(self.lines)):
            macro = _at(rows, Kind.MACRO, number)
            prototype = _at(rows, Kind.PROTOTYPE, number)
            # One that takes anything only passes it on to a function.
            found.append(f"macro {macro}" if macro not in (None, "-", "0+") else prototype or "")
        return tuple(found)

    def steps(self, forms: Sequence[str], is_change: Callable[[str, str], bool]) -> list[Step]:
        """Return the neighbours with different forms, oldest first; lines without a form are passed over."""
        known = [(number, form) for number, form in enumerate(forms) if form]
        return [
            Step(older=self.lines[a], newer=self.lines[b], before=before, after=after)
            for (a, before), (b, after) in itertools.pairwise(known)
            if is_change(before, after)
        ]

    def nearest_step(self, steps: Sequence[Step], at: int) -> Step | None:
        """Return the newest step that a line has behind it, else the first that is ahead."""
        behind = [step for step in steps if line_of(step.newer.line) <= line_of(self.lines[max(at, 0)].line)]
        return behind[-1] if behind else steps[0] if steps else None

    def value(self, rows: Rows, kind: Kind, at: int) -> str | None:
        """Return a name's value in the line of an index, else in the nearest line that has one."""
        known = dict(_values(rows, kind))
        return known[min(known, key=lambda number: abs(number - at))] if known else None

    def _states(self, state: Callable[[int, Line], bool | None]) -> States:
        return tuple(state(number, line) for number, line in enumerate(self.lines))

    def _in_headers(self, rows: Rows, *kinds: Kind) -> States:
        def state(number: int, line: Line) -> bool | None:
            if any(_at(rows, kind, number) is not None for kind in kinds):
                return True
            return False if line.has_headers else None

        return self._states(state)

    def _declared(self, rows: Rows) -> States:
        return self._in_headers(rows, Kind.HEADER)


def arguments(form: str) -> str:
    """Return the number of a form's arguments, `2` or `1+` if more may follow; empty if there is no form."""
    if form.startswith("macro "):
        return form.removeprefix("macro ")
    match = _PROTOTYPE.fullmatch(form.removeprefix("~"))
    if match is None:
        return ""
    parts = split_parameters(match["parameters"])
    varies = parts[-1:] == ["..."]
    return f"{len(parts) - varies}{'+' if varies else ''}"


def returned(form: str) -> str:
    """Return the type of a prototype's result; empty for a macro."""
    match = _PROTOTYPE.fullmatch(form.removeprefix("~"))
    return "" if match is None or form.startswith("macro ") else match["returned"].strip()


def is_other_call(before: str, after: str) -> bool:
    """True if two forms take other arguments. Types are compared only if both come from the same source."""
    if arguments(before) != arguments(after):
        return True
    is_comparable = before[:1] == after[:1] == "~" or "~" not in before[:1] + after[:1]
    if before.startswith("macro ") or after.startswith("macro ") or not is_comparable:
        return False
    return before != after


def is_other_result(before: str, after: str) -> bool:
    """True if two prototypes return other types."""
    return bool(returned(before)) and bool(returned(after)) and returned(before) != returned(after)


def split_parameters(text: str) -> list[str]:
    """Split a prototype's parameters at the commas outside of brackets; `void` is none."""
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
    parts.append(text[start:].strip())
    return [] if parts in ([""], ["void"]) else parts


def _values(rows: Rows, kind: Kind) -> Iterator[tuple[int, str]]:
    row = rows.get(kind)
    if row is not None:
        yield from ((number, value) for number, value in enumerate(row.values) if value is not None)


def _at(rows: Rows, kind: Kind, number: int) -> str | None:
    row = rows.get(kind)
    return None if row is None else row.values[number]


def _either(*states: bool | None) -> bool | None:
    if any(states):
        return True
    return None if None in states else False
