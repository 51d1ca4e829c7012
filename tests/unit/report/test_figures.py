# SPDX-License-Identifier: MIT
"""Figures have the same format everywhere."""

from __future__ import annotations

import pytest

from vmlab.report.figures import figure, percent, signed, unit_words


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (0.12345, "0.1235"),
        (99.999, "100"),
        (100, "100"),
        (1234.56, "1,234.6"),
        (9999.96, "10,000"),
        (1234567.8, "1,234,568"),
        (-1234.5, "-1,234.5"),
    ],
)
def test_a_figure_has_as_many_digits_as_it_is_worth(value: float, shown: str) -> None:
    assert figure(value) == shown


def test_a_change_has_a_sign_and_nothing_has_none_of_its_own() -> None:
    assert (signed(3), signed(-3), signed(0)) == ("+3", "-3", "0")
    assert (percent(1.2), percent(0.5), percent(1.0)) == ("+20.0 %", "-50.0 %", "+0.0 %")
    assert percent(0.99999) == "+0.0 %"
    assert percent(1.00002, digits=4) == "+0.0020 %"


def test_a_figures_unit_stands_beside_its_source() -> None:
    assert unit_words("icount", "instructions") == "instructions (icount)"
    assert unit_words("clock", "ns") == "ns (clock)"
