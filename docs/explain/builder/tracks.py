# SPDX-License-Identifier: MIT
"""Call chain from the system call to the module's init, drawn like a metro map: a line per kernel, a stop per function.

A traced function is a full stop, an inlined one an open stop, one that the trace does not show a tick. A line without a
stop does not call the function.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder import svg
from builder.kernels import Finding, Kernel

_CHAIN, _STEPS = "load.chain.file", "load.steps"
_ARROW = " > "
_TRACK, _ROW, _TOP, _INDENT = 40, 24, 34, 14
_LETTER = 7.9
"""Approximate character width in a 13 px monospace font."""
_COLORS = 6
_WAY = "chain"
_CALLED, _INLINED, _UNSEEN = "called", "inlined", "not to be seen"
_DRAWN = {_CALLED: "full", _INLINED: "open", _UNSEEN: "tick"}
"""A function's state in the facts of the steps, to the style of its stop; other states have no stop."""
_OWN = re.compile(r"\bhello_init(?=\(\))")
"""The module's own function, in the graph that the experiment printed."""

Evidence = Mapping[str, Sequence[tuple[Kernel, Finding]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A function, its depth below the system call in the drawing, and its state by target."""

    name: str
    depth: int
    states: Mapping[str, str]


def tracks_figure(evidence: Evidence, names: Mapping[str, str], label: Mapping[str, str]) -> str:
    """The diagram, or an empty string if no kernel was traced."""
    traced = [kernel for kernel, _ in evidence.get(_CHAIN, ())]
    found = stops(evidence)
    if not found:
        return ""
    left = len(traced) * _TRACK
    width = int(left + max(len(stop.name) * _LETTER + stop.depth * _INDENT for stop in found) + 16)
    height = _TOP + _ROW * len(found) + 4
    return svg.figure(
        _drawn(found, traced, names, left),
        width=width,
        height=height,
        title=label["chain_title"],
        caption=label["chain_caption"],
    )


def stops(evidence: Evidence) -> list[Stop]:
    """Every function that any kernel passes through, in call order."""
    ways = {kernel.target: str(each.facts[_WAY]).split(_ARROW) for kernel, each in evidence.get(_CHAIN, ())}
    rows = [
        Stop(name=name, depth=0, states={target: _CALLED for target, way in ways.items() if name in way})
        for name in merged([*ways.values()])
    ]
    on_the_way = {row.name for row in rows}
    steps = {kernel.target: each.facts for kernel, each in evidence.get(_STEPS, ())}
    for name in merged([[*each] for each in steps.values()]):
        states = {target: str(facts[name]) for target, facts in steps.items() if facts.get(name) in _DRAWN}
        if name not in on_the_way and states:
            rows.append(Stop(name=name, depth=1, states=states))
    owns = {kernel.target: _OWN.search(each.output) for kernel, each in evidence.get(_CHAIN, ())}
    called = {target: own[0] for target, own in owns.items() if own is not None}
    rows += [Stop(name=name, depth=1, states=dict.fromkeys(called, _CALLED)) for name in {*called.values()}]
    return rows


def merged(ways: Sequence[Sequence[str]]) -> list[str]:
    """One order that preserves the order of every way; names in only some ways keep their place."""
    order: list[str] = []
    for way in ways:
        joined: list[str] = []
        for _, a, b, c, d in difflib.SequenceMatcher(None, order, way, autojunk=False).get_opcodes():
            joined += [*order[a:b], *(name for name in way[c:d] if name not in order[a:b])]
        order = list(dict.fromkeys(joined))
    return order


def _drawn(found: Sequence[Stop], traced: Sequence[Kernel], names: Mapping[str, str], left: float) -> Iterator[str]:
    for number, kernel in enumerate(traced):
        x, color = _x(number), f"c{number % _COLORS}"
        yield svg.text(x, 16, names[kernel.target], kind=f"head {color}", anchor="middle")
        at = [place for place, stop in enumerate(found) if kernel.target in stop.states]
        yield svg.path(f"M{x:g} {_y(at[0]):g}V{_y(at[-1]):g}", kind=f"track {color}")
        for place in at:
            kind = _DRAWN[found[place].states[kernel.target]]
            yield svg.dot(x, _y(place), 2.5 if kind == "tick" else 5, kind=f"{kind} {color}")
    for place, stop in enumerate(found):
        yield svg.text(left + stop.depth * _INDENT, _y(place) + 4.5, stop.name, kind="name")


def _x(number: int) -> float:
    return number * _TRACK + _TRACK / 2


def _y(place: int) -> float:
    return _TOP + place * _ROW + _ROW / 2
