# SPDX-License-Identifier: MIT
"""Sequential reads keep the last pair of numbers, within a limit: one addition per number."""

from __future__ import annotations

import re

import pytest

from vmlab.guest.guest import Guest

from .oracle import differences, fibonacci, first_of
from .probe import DEVICE, Probe
from .stress import Program

SUM = "a sum of two kept"


def _costs(guest: Guest, fibctl: str, words: str) -> list[tuple[int, bool]]:
    """Each read of a `fibctl --stats`: the index, and True if the read took only an addition."""
    said = guest.succeed(f"{fibctl} --stats {words} 2>&1 > /dev/null").splitlines()
    found = [re.match(r"F\((\d+)\): ", line) for line in said]
    assert all(found), said
    return [(int(match[1]), SUM in line) for match, line in zip(found, said, strict=True) if match]


@pytest.mark.usefixtures("loaded_module")
@pytest.mark.parametrize("form", ["decimal", "hex", "binary"])
def test_reading_on_costs_an_addition_from_the_third_number_on(
    shared_guest: Guest, program: Program, form: str
) -> None:
    costs = _costs(shared_guest, program("tools/fibctl.c"), f"--format {form} --range 1000..1040")
    assert costs == [(n, n >= 1002) for n in range(1000, 1041)]


@pytest.mark.usefixtures("loaded_module")
def test_reading_here_and_there_keeps_no_pair(shared_guest: Guest, program: Program) -> None:
    costs = _costs(shared_guest, program("tools/fibctl.c"), "1000 1001 1002 1003")
    assert costs == [(n, False) for n in range(1000, 1004)]


def test_numbers_are_right_where_they_outgrow_what_a_file_may_keep(
    shared_guest: Guest, unloaded_module: str, probe_path: str, program: Program
) -> None:
    """1 KiB holds two 512-byte numbers: up to F(5762) in decimal, less because the pair's buffer grows in steps."""
    shared_guest.as_root(f"insmod {unloaded_module} keep_kib=1")
    fibctl = program("tools/fibctl.c")
    costs = [is_sum for _, is_sum in _costs(shared_guest, fibctl, "--range 2000..6000")]
    assert costs[:2] == [False, False]
    once = costs.index(False, 2)
    assert costs == [False, False] + [True] * (once - 2) + [False] * (len(costs) - once)
    last_kept = 2000 + once - 1
    assert 3500 < last_kept < 5800
    given = dict(Probe(shared_guest, probe_path).sequence(last_kept - 30, 60))
    wrong = differences(given, "decimal", {n: fibonacci(n) for n in range(last_kept - 30, last_kept + 30)})
    assert not wrong, first_of(wrong)


def test_nothing_is_kept_when_that_is_asked(shared_guest: Guest, unloaded_module: str, program: Program) -> None:
    shared_guest.as_root(f"insmod {unloaded_module} keep_kib=0")
    assert not any(is_sum for _, is_sum in _costs(shared_guest, program("tools/fibctl.c"), "--range 1000..1010"))
    assert shared_guest.succeed(f"head -n 7 {DEVICE}").split() == ["0", "1", "1", "2", "3", "5", "8"]


def test_reading_on_is_exact_far_out(probe: Probe) -> None:
    # A range that crosses a power of ten and several powers of 10^19 and 2^64.
    start = 19_900
    given = dict(probe.sequence(start, 200))
    wrong = differences(given, "decimal", {n: fibonacci(n) for n in range(start, start + 200)})
    assert not wrong, first_of(wrong)
