# SPDX-License-Identifier: MIT
"""Shards of a run are complete, disjoint, equally long, and the same on every host."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmlab.errors import UsageError
from vmlab.plugin.balance import Load, costs, own_part, run_digest, split
from vmlab.settings import Shard

_TARGETS = ("debian11-5.10", "debian12-6.1", "debian13-6.12", "debian13-7.3")


def _loads(*, targets: int = 4, tests: int = 30, seed: int = 1) -> list[Load]:
    rng = random.Random(seed)
    base = [min(60.0, rng.paretovariate(1.3)) for _ in range(tests)]
    return [
        Load(key=f"test_{number}[{target}]", group=target, cost_s=cost * rng.uniform(0.7, 1.6))
        for target in _TARGETS[:targets]
        for number, cost in enumerate(base)
    ]


def _setups(setup_s: float = 40.0) -> dict[str, float]:
    return dict.fromkeys(_TARGETS, setup_s)


_LOADS = st.lists(
    st.tuples(st.sampled_from(["", *_TARGETS]), st.floats(0, 500), st.integers(0, 10**6)),
    min_size=1,
    max_size=60,
    unique_by=lambda row: (row[0], row[2]),
)


@settings(max_examples=25)
@given(rows=_LOADS, count=st.integers(1, 70), setup_s=st.floats(0, 300))
def test_every_test_is_in_one_shard_and_none_is_empty(
    rows: list[tuple[str, float, int]], count: int, setup_s: float
) -> None:
    loads = [Load(key=f"{name}[{group}]", group=group, cost_s=cost) for group, cost, name in rows]
    shards = split(loads, count, setups=_setups(setup_s))
    assert len(shards) == count
    assert sorted(key for keys in shards for key in keys) == sorted(load.key for load in loads)
    if len(loads) >= count:
        assert all(shards)


@settings(max_examples=25)
@given(rows=_LOADS, count=st.integers(1, 20), seed=st.integers())
def test_the_order_of_collection_decides_nothing(rows: list[tuple[str, float, int]], count: int, seed: int) -> None:
    loads = [Load(key=f"{name}[{group}]", group=group, cost_s=cost) for group, cost, name in rows]
    shuffled = random.Random(seed).sample(loads, len(loads))
    assert split(loads, count, setups=_setups()) == split(shuffled, count, setups=_setups())


_SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from unit.plugin.test_balance import _loads, _setups
from vmlab.plugin.balance import split
print(split(_loads(), 5, setups=_setups()))
"""


def test_another_process_with_other_hashes_gives_the_same_shards() -> None:
    tests = str(__file__).rpartition("/unit/")[0]
    said = {
        subprocess.run(
            [sys.executable, "-c", _SCRIPT, tests],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert said == {f"{split(_loads(), 5, setups=_setups())}\n"}


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("seed", range(5))
def test_shards_cost_the_same(count: int, seed: int) -> None:
    loads = _loads(tests=60, seed=seed)
    found = costs(split(loads, count, setups=_setups()), loads, setups=_setups())
    assert max(found) <= 1.15 * sum(found) / count


def test_a_target_that_fits_is_not_made_ready_twice() -> None:
    loads = [Load(key=f"{number}[{target}]", group=target, cost_s=1.0) for target in _TARGETS for number in range(20)]
    shards = split(loads, 4, setups=_setups())
    assert [len({key.partition("[")[2] for key in keys}) for keys in shards] == [1, 1, 1, 1]


def test_one_dear_target_is_cut_and_pays_for_being_made_ready_twice() -> None:
    loads = [Load(key=f"{number:02}", group=_TARGETS[0], cost_s=10.0) for number in range(40)]
    shards = split(loads, 2, setups=_setups(30.0))
    assert [len(keys) for keys in shards] == [20, 20]
    assert costs(shards, loads, setups=_setups(30.0)) == [230.0, 230.0]


def test_a_test_that_is_longer_than_all_the_rest_has_a_shard_to_itself() -> None:
    loads = [Load(key="long", group="", cost_s=100.0), *(Load(key=f"{n}", group="", cost_s=1.0) for n in range(30))]
    shards = split(loads, 3, setups={})
    assert ("long",) in shards


def test_more_shards_than_tests_is_told_in_one_line() -> None:
    loads = _loads(targets=1, tests=3)
    assert own_part(loads, Shard(index=3, count=3), setups={})
    with pytest.raises(UsageError, match="3 tests cannot be split into 4 shards") as caught:
        own_part(loads, Shard(index=1, count=4), setups={})
    assert "\n" not in str(caught.value)
    assert "use at most 3 shards" in caught.value.hint


def test_a_run_is_known_by_all_its_tests_and_not_by_their_order() -> None:
    assert run_digest(["a", "b"]) == run_digest(["b", "a"])
    assert run_digest(["a", "b"]) != run_digest(["a"])
    assert run_digest(["a", "b"]) != run_digest(["ab"])
