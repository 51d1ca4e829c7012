# SPDX-License-Identifier: MIT
"""Split of a run into shards of equal cost, the same on every host. Pure.

The tests of a target share its setup: a boot, the build, the snapshots. A target in two shards is set up twice, so a
target stays in one shard if possible, and is divided only where the balance needs it:

1. Targets are sorted by descending cost, then by name; the tests of each target too.
2. For a limit, each target goes whole into the fullest shard that has room. If none has, it is divided: the emptiest
   shard takes as many tests as fit, then the next. A shard takes at most one piece of a target.
3. A binary search finds a low limit, in milliseconds, that all tests fit under.

Only names and costs decide, not the clock, Python's hash seed or the order of collection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from vmlab.errors import UsageError
from vmlab.settings import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One test and its expected cost."""

    key: str
    group: str
    """The test's target; empty for a test without one, which needs no setup."""
    cost_s: float


@dataclass(slots=True)
class _Bin:
    """A shard during the split; costs are whole milliseconds, so that sums do not depend on the order."""

    keys: list[str] = field(default_factory=list)
    groups: set[str] = field(default_factory=set)
    load: int = 0


@dataclass(frozen=True, slots=True)
class _Group:
    """A target, its setup cost, and its tests with their costs, in milliseconds."""

    name: str
    setup: int
    tests: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return self.setup + sum(cost for _, cost in self.tests)


def split(loads: Iterable[Load], count: int, *, setups: Mapping[str, float]) -> tuple[tuple[str, ...], ...]:
    """Return the keys of each of `count` shards. Each key is in one shard; no shard is empty if there are enough keys.

    `setups` maps a group to the seconds that its setup costs in each shard with a test of it; 0 s if missing.
    """
    groups = _groups(loads, setups)
    bins = _least(groups, count)
    _fill_empty(bins, count)
    return tuple(tuple(sorted(one.keys)) for one in bins)


def own_part(loads: Sequence[Load], shard: Shard, *, setups: Mapping[str, float]) -> frozenset[str]:
    """Return the keys of one shard; raises `UsageError` if there are fewer tests than shards."""
    if len(loads) < shard.count:
        raise UsageError(
            f"{len(loads)} tests cannot be split into {shard.count} shards: some would have no test",
            hint=f"use at most {max(1, len(loads))} shards, e.g. --vmlab-shard 1/{max(1, len(loads))}",
        )
    return frozenset(split(loads, shard.count, setups=setups)[shard.index - 1])


def run_digest(keys: Iterable[str]) -> str:
    """Return 16 hex digits that identify a run: a digest of the keys of all its tests, the same for all its shards."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:16]


def costs(shards: Iterable[Sequence[str]], loads: Iterable[Load], *, setups: Mapping[str, float]) -> list[float]:
    """Return the expected cost of each shard, in seconds."""
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
    """Return the shards for the lowest limit that the binary search finds, at most the cost of the whole run."""
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
    """Return `count` shards within the limit; None if the tests do not fit."""
    bins = [_Bin() for _ in range(count)]
    for group in groups:
        rest = list(group.tests)
        while rest:
            whole = group.setup + sum(cost for _, cost in rest)
            fitting = [one for one in bins if group.name not in one.groups and one.load + whole <= limit]
            # The fullest shard with room for the whole target, else the emptiest for a piece of it.
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
    """Return the tests that fit into `room`, taken greedily by descending cost."""
    taken = []
    for key, cost in tests:
        if cost <= room:
            taken.append((key, cost))
            room -= cost
    return taken


def _fill_empty(bins: list[_Bin], count: int) -> None:
    """Move a test from the shard with the most tests to each empty shard, which would write no report otherwise."""
    bins += [_Bin() for _ in range(count - len(bins))]
    for empty in [one for one in bins if not one.keys]:
        giver = max(bins, key=lambda one: len(one.keys))
        if len(giver.keys) > 1:
            empty.keys.append(giver.keys.pop())
