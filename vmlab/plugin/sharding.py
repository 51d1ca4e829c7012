# SPDX-License-Identifier: MIT
"""Selection of this shard's tests. The same tests and durations give the same shards on every host."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from vmlab.catalogue.target import Target
from vmlab.plugin.balance import Load, costs, own_part, run_digest
from vmlab.plugin.node_ids import short_name
from vmlab.report.durations import NOTHING_TIMED, Expected, read_durations
from vmlab.report.model import ShardFacts
from vmlab.settings import Settings, Shard

_NO_GUEST_S = 0.1
"""Assumed seconds of a test without a guest: no result contains one, so none is recorded."""


def keep_own(
    items: list[pytest.Item], targets: Mapping[pytest.Item, Target], settings: Settings, shard: Shard
) -> tuple[ShardFacts, list[pytest.Item], str]:
    """Reduce `items` to this shard's tests. Returns the shard's facts, the tests of other shards, and a line to print.

    `targets` maps the tests that use a guest. Raises `UsageError` if there are fewer tests than shards, or the file of
    durations is invalid.
    """
    recorded = read_durations(settings.durations) if settings.durations is not None else NOTHING_TIMED
    expected = Expected(recorded)
    loads = [_load(item, targets.get(item), expected) for item in items]
    setups = {target.id: expected.setup_s(target.id) for target in targets.values()}
    own = own_part(loads, shard, setups=setups)
    others = [item for item in items if item.nodeid not in own]
    items[:] = [item for item in items if item.nodeid in own]
    facts = ShardFacts(
        index=shard.index,
        count=shard.count,
        run=run_digest([load.key for load in loads]),
        tests=sum(item in targets for item in items),
    )
    (cost_s,) = costs([sorted(own)], loads, setups=setups)
    by = f"from {os.path.relpath(settings.durations)}" if settings.durations is not None else "without durations"
    return facts, others, f"vmlab: shard {shard}: {len(items)} of {len(loads)} tests, {_words(cost_s)} expected {by}"


def _load(item: pytest.Item, target: Target | None, expected: Expected) -> Load:
    if target is None:
        return Load(key=item.nodeid, group="", cost_s=_NO_GUEST_S)
    cost_s = expected.test_s(short_name(item.nodeid, target.id), target.id)
    return Load(key=item.nodeid, group=target.id, cost_s=cost_s)


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
