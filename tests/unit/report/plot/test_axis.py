# SPDX-License-Identifier: MIT
"""Axes show every value, without exaggerating differences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmlab.report.plot.axis import axis_for, tick_word

# Costs that `check_series` accepts.
_COSTS = st.lists(
    st.floats(1e-12, 1e18) | st.floats(-1e18, -1e-12) | st.just(0.0) | st.integers(0, 10**18), min_size=1, max_size=30
)


@given(_COSTS, st.booleans(), st.integers(2, 9))
def test_every_value_and_tick_lies_on_the_axis(values: list[float], is_beside_log: bool, most_ticks: int) -> None:
    axis = axis_for(values, is_beside_log=is_beside_log, most_ticks=most_ticks)
    assert all(-1e-9 <= axis.place(value) <= 1 + 1e-9 for value in [*values, *axis.ticks])
    assert 1 <= len(axis.ticks) <= most_ticks + 2
    assert list(axis.ticks) == sorted(set(axis.ticks))


@given(_COSTS)
def test_more_is_never_lower(values: list[float]) -> None:
    axis = axis_for(values)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places)


@pytest.mark.parametrize("values", [[1.0, 49.0], [90.0, 95.0], [7.0]])
def test_a_linear_axis_begins_at_zero(values: list[float]) -> None:
    axis = axis_for(values)
    assert (axis.is_log, axis.low) == (False, 0)


@pytest.mark.parametrize("values", [[10.0, 500.0], [1.0, 1e9], [0.001, 1.0]])
def test_values_far_apart_are_on_a_logarithmic_axis(values: list[float]) -> None:
    assert axis_for(values).is_log


@pytest.mark.parametrize("values", [[0.0, 1e9], [-1.0, 1e9]])
def test_what_has_no_logarithm_is_on_a_linear_axis(values: list[float]) -> None:
    assert not axis_for(values, is_beside_log=True).is_log


def test_beside_a_logarithmic_axis_a_power_of_n_is_straight() -> None:
    sizes, costs = axis_for([1.0, 100.0]), axis_for([2.0, 20.0], is_beside_log=True)
    assert costs.is_log
    middle = costs.place(2 * 10**0.5)
    assert middle == pytest.approx((costs.place(2.0) + costs.place(20.0)) / 2)
    assert sizes.place(10.0) == 0.5


@pytest.mark.parametrize("value", [1.0, 1000.0, 5.0])
def test_one_cost_beside_a_logarithmic_axis_has_a_place(value: float) -> None:
    assert 0 <= axis_for([value], is_beside_log=True).place(value) <= 1


@pytest.mark.parametrize(
    ("value", "word"),
    [(0, "0"), (0.25, "0.25"), (90, "90"), (1500, "1.5k"), (2e6, "2M"), (1e9, "1G"), (1e12, "1T"), (1e15, "1e15")],
)
def test_a_tick_is_a_few_letters(value: float, word: str) -> None:
    assert tick_word(value) == word
