# SPDX-License-Identifier: MIT
"""Splitting a run into shards of equal cost, the same on every host. Pure.

The tests of a target share what making it ready costs: a boot, the build, the snapshots. A target whose tests go to two
shards is made ready twice, so whole targets go together where they can, and one is cut where balance takes it:

1. Targets come dearest first, each with its tests, dearest first; what costs the same comes by name.
2. For a limit, each target is put where it fits: whole, into the shard that it fills most; else in pieces, each time
   into the emptiest shard as many tests as still fit there. A shard that has a piece of a target gets no second one.
3. A low limit, in milliseconds, under which everything finds a place is found by halving.

Nothing but names and costs decides: no clock, no hash of the process, no order of collection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vmlab.errors import UsageError
from vmlab.settings import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One test, and what it is expected to cost."""

    key: str
    group: str
    """Its target; empty for a test without one, which has nothing to be made ready."""
    cost_s: float


@dataclass(slots=True)
class _Bin:
    """A shard that is being filled; costs are whole milliseconds, which add up to the same sum in any order."""

    keys: list[str] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    load: int = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """A target, what it takes to make it ready, and its tests with their costs."""

    name: str
    setup: int
    tests: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return self.setup + sum(cost for _, cost in self.tests)


def split(loads: Iterable[Load], count: int, *, setups: Mapping[str, float]) -> tuple[tuple[str, ...], ...]:
    """The keys of each of `count` shards: every key in one of them; none is empty while there are as many keys.

    `setups` is what each group takes in each shard that has a test of it, in seconds; what is missing takes nothing.
    """
    groups = _groups(loads, setups)
    bins = _least(groups, count)
    _fill_empty(bins, count)
    return tuple(tuple(sorted(one.keys)) for one in bins)


def own_part(loads: Sequence[Load], shard: Shard, *, setups: Mapping[str, float]) -> frozenset[str]:
    """The keys of one shard; `UsageError` when there are fewer tests than shards, so that one would run nothing."""
    if len(loads) < shard.count:
        raise UsageError(
            f"{len(loads)} tests cannot be split into {shard.count} shards: some would run nothing",
            hint=f"ask for {max(1, len(loads))} shards at most",
        )
    return frozenset(split(loads, shard.count, setups=setups)[shard.index - 1])


def run_digest(keys: Iterable[str]) -> str:
    """The same for all shards of one run, and for no others: 16 hex digits over all its tests."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:16]


def costs(shards: Iterable[Sequence[str]], loads: Iterable[Load], *, setups: Mapping[str, float]) -> list[float]:
    """What each shard is expected to cost, in seconds."""
    known = {load.key: load for load in loads}
    sums = []
    for keys in shards:
        groups = sorted({known[key].group for key in keys})
        sums.append(sum(known[key].cost_s for key in keys) + sum(setups.get(group, 0.0) for group in groups))
    return sums


def _groups(loads: Iterable[Load], setups: Mapping[str, float]) -> list[_Group]:
    tests: dict[str, list[tuple[str, int]]] = {}
    for load in loads:
        tests.setdefault(load.group, []).append((load.key, _milliseconds(load.cost_s)))
    groups = [
        _Group(
            name,
            _milliseconds(setups.get(name, 0.0)) if name else 0,
            tuple(sorted(rows, key=lambda row: (-row[1], row[0]))),
        )
        for name, rows in tests.items()
    ]
    return sorted(groups, key=lambda group: (-group.total, group.name))


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _least(groups: Sequence[_Group], count: int) -> list[_Bin]:
    """The fill under the least limit that halving finds; under the whole run's cost one shard is enough."""
    low, high = 0, sum(group.total for group in groups)
    best = _fill(groups, count, high) or [_Bin()]
    while low < high:
        middle = (low + high) // 2
        tried = _fill(groups, count, middle)
        if tried is None:
            low = middle + 1
        else:
            best, high = tried, middle
    return best


def _fill(groups: Sequence[_Group], count: int, limit: int) -> list[_Bin] | None:
    """Shards that all keep to the limit; None when that takes more than there are."""
    bins = [_Bin() for _ in range(count)]
    for group in groups:
        rest = list(group.tests)
        while rest:
            whole = group.setup + sum(cost for _, cost in rest)
            fitting = [one for one in bins if group.name not in one.groups and one.load + whole <= limit]
            # The fullest of those that take all of it, else the emptiest for a piece of it.
            if fitting:
                chosen = max(fitting, key=lambda one: one.load)
                _put(chosen, group, rest)
                break
            free = [one for one in bins if group.name not in one.groups]
            if not free:
                return None
            chosen = min(free, key=lambda one: one.load)
            taken = _fitting(rest, limit - chosen.load - group.setup)
            if not taken:
                return None
            _put(chosen, group, taken)
            gone = {key for key, _ in taken}
            rest = [test for test in rest if test[0] not in gone]
    return bins


def _put(chosen: _Bin, group: _Group, tests: Sequence[tuple[str, int]]) -> None:
    chosen.keys += [key for key, _ in tests]
    chosen.groups.add(group.name)
    chosen.load += group.setup + sum(cost for _, cost in tests)


def _fitting(tests: Sequence[tuple[str, int]], room: int) -> list[tuple[str, int]]:
    """Tests that fill the room, the dearest that fits taken each time."""
    taken = []
    for key, cost in tests:
        if cost <= room:
            taken.append((key, cost))
            room -= cost
    return taken


def _fill_empty(bins: list[_Bin], count: int) -> None:
    """A shard with nothing to run would report nothing: it gets a test of the one that has the most."""
    bins += [_Bin() for _ in range(count - len(bins))]
    for empty in [one for one in bins if not one.keys]:
        giver = max(bins, key=lambda one: len(one.keys))
        if len(giver.keys) > 1:
            empty.keys.append(giver.keys.pop())
