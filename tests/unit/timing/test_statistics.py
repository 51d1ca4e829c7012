# SPDX-License-Identifier: MIT
"""The statistics behind verdicts are correct and deterministic."""

from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmlab.timing.statistics import (
    Interval,
    fewest_pairs,
    log_ratios,
    median_interval,
    quartiles,
    sign_flip_p,
)

_WHOLE = st.lists(st.integers(-6, 6), min_size=1, max_size=9)


def _by_hand(values: list[int]) -> float:
    """The same p, by trying every choice of signs with plain average ranks."""
    sizes = [abs(value) for value in values]
    ordered = sorted(sizes)
    ranks = [statistics.mean(place for place, size in enumerate(ordered, 1) if size == of) for of in sizes]
    scored = [(rank, value) for rank, value in zip(ranks, values, strict=True) if value]
    seen = abs(sum(math.copysign(rank, value) for rank, value in scored))
    sums = [
        abs(sum(sign * rank for sign, (rank, _) in zip(signs, scored, strict=True)))
        for signs in itertools.product((1, -1), repeat=len(scored))
    ]
    return sum(total >= seen - 1e-9 for total in sums) / len(sums)


@given(_WHOLE)
def test_p_is_the_share_of_sign_flips_at_least_as_lopsided(values: list[int]) -> None:
    assert sign_flip_p(values) == pytest.approx(_by_hand(values))


@given(_WHOLE)
def test_p_does_not_depend_on_order_or_direction(values: list[int]) -> None:
    assert sign_flip_p(values) == sign_flip_p(values[::-1]) == sign_flip_p([-value for value in values])


def test_p_of_a_table_of_wilcoxon_is_met() -> None:
    # n = 10, the smaller rank sum 8: two-sided p = 0.048828125, as in tables of the signed-rank test.
    assert sign_flip_p([-1, -2, -5, 3, 4, 6, 7, 8, 9, 10]) == 0.048828125


def test_all_on_one_side_have_the_least_p_there_is() -> None:
    assert sign_flip_p([1.0, 2.0, 3.0, 4.0]) == 2 / 2**4
    assert sign_flip_p([0.0, 0.0]) == 1.0


@pytest.mark.parametrize("level", [0.5, 0.05, 0.001, 0.0002, 2**-9])
def test_the_fewest_pairs_can_decide_and_one_less_cannot(level: float) -> None:
    fewest = fewest_pairs(level)
    assert 2 / 2**fewest < level
    assert fewest == 2 or 2 / 2 ** (fewest - 1) >= level


def test_false_positives_are_as_rare_as_the_level_says() -> None:
    rng = random.Random(7)
    trials = [sign_flip_p([rng.gauss(0, 1) * rng.paretovariate(1) for _ in range(15)]) for _ in range(2000)]
    assert 60 <= sum(p < 0.05 for p in trials) <= 140


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    rng = random.Random(3)
    held = sum(median_interval([rng.gauss(5, 1) for _ in range(30)]).holds(5) for _ in range(40))
    assert held >= 37


@settings(max_examples=20)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_an_interval_is_the_same_every_time_and_mirrors(values: list[float]) -> None:
    interval = median_interval(values)
    assert interval == median_interval(values)
    mirrored = median_interval([-value for value in values])
    assert (interval.low, interval.high) == (-mirrored.high, -mirrored.low)
    assert min(values) <= interval.low <= interval.high <= max(values)


def test_quartiles_hold_the_middle_half() -> None:
    assert quartiles([1.0, 2.0, 3.0, 4.0, 1000.0]) == Interval(low=2.0, high=4.0)
    assert quartiles([7.0]) == Interval(low=7.0, high=7.0)


def test_log_ratios_are_of_pairs() -> None:
    assert log_ratios([1.0, 2.0], [math.e, 2.0]) == [1.0, 0.0]
    with pytest.raises(ValueError, match="shorter"):
        log_ratios([1.0, 2.0], [1.0])
