# SPDX-License-Identifier: MIT
"""The way from the system call to our function, like a map of lines: one for each kernel, a stop for each function.

What was traced has a full stop, what the compiler put into its caller an open one; a line without a stop has no such
function on its way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from builder import svg
from builder.kernels import Finding, Kernel

_CHAIN, _STEPS = "load.chain.file", "load.steps"
_ARROW = " > "
_TRACK, _ROW, _TOP, _INDENT = 40, 24, 34, 14
_LETTER = 7.9
"""About the width of one at 13 px in a typeface of fixed width."""
_COLORS = 6
_CALLED, _INLINED = "called", "inlined"

Evidence = Mapping[str, Sequence[tuple[Kernel, Finding]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A function, how deep below the system call it is drawn, and how each kernel (by target) comes through it."""

    name: str
    depth: int
    states: Mapping[str, str]


def tracks_figure(evidence: Evidence, names: Mapping[str, str], label: Mapping[str, str]) -> str:
    """The picture, or nothing where no kernel was traced."""
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
    """Every function on the way of any kernel, in the order they are come through."""
    chains, inits = _ways(evidence, "chain"), _ways(evidence, "do_init")
    steps = {
        kernel.target: {k: str(v) for k, v in finding.facts.items()} for kernel, finding in evidence.get(_STEPS, ())
    }
    rows = list(_stops_of(chains, depth=0))
    on_the_way = {name for ways in (chains, inits) for way in ways.values() for name in way}
    listed = merged([[*each] for each in steps.values()])
    for name in listed:
        states = {target: row[name] for target, row in steps.items() if row.get(name) in (_CALLED, _INLINED)}
        if name not in on_the_way and states:
            rows.append(Stop(name=name, depth=1, states=states))
    return rows + list(_stops_of(inits, depth=1))


def merged(ways: Sequence[Sequence[str]]) -> list[str]:
    """One order in which every way is found again; what only some have stands where they have it."""
    order: list[str] = []
    for way in ways:
        joined: list[str] = []
        for _, a, b, c, d in difflib.SequenceMatcher(None, order, way, autojunk=False).get_opcodes():
            joined += [*order[a:b], *(name for name in way[c:d] if name not in order[a:b])]
        order = list(dict.fromkeys(joined))
    return order


def _ways(evidence: Evidence, fact: str) -> dict[str, list[str]]:
    return {
        kernel.target: str(finding.facts[fact]).split(_ARROW)
        for kernel, finding in evidence.get(_CHAIN, ())
        if finding.facts.get(fact)
    }


def _stops_of(ways: Mapping[str, Sequence[str]], *, depth: int) -> Iterator[Stop]:
    for name in merged([*ways.values()]):
        yield Stop(name=name, depth=depth, states={target: _CALLED for target, way in ways.items() if name in way})


def _drawn(found: Sequence[Stop], traced: Sequence[Kernel], names: Mapping[str, str], left: float) -> Iterator[str]:
    for number, kernel in enumerate(traced):
        x, color = _x(number), f"c{number % _COLORS}"
        yield svg.text(x, 16, names[kernel.target], kind=f"head {color}", anchor="middle")
        at = [place for place, stop in enumerate(found) if kernel.target in stop.states]
        yield svg.path(f"M{x:g} {_y(at[0]):g}V{_y(at[-1]):g}", kind=f"track {color}")
        for place in at:
            state = found[place].states[kernel.target]
            yield svg.dot(x, _y(place), 5, kind=f"{'full' if state == _CALLED else 'open'} {color}")
    for place, stop in enumerate(found):
        yield svg.text(left + stop.depth * _INDENT, _y(place) + 4.5, stop.name, kind="name")


def _x(number: int) -> float:
    return number * _TRACK + _TRACK / 2


def _y(place: int) -> float:
    return _TOP + place * _ROW + _ROW / 2
