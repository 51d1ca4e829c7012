# SPDX-License-Identifier: MIT
"""Signals during a long computation: one that kills ends it at once, any other waits for the number."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .edges import END
from .stress import Program, number_in, stress

LAST = END - 1
AT_ONCE_US = 100_000
pytestmark = pytest.mark.usefixtures("loaded_module")


@pytest.mark.parametrize("signal", ["KILL", "INT", "TERM"])
def test_a_signal_that_kills_ends_the_longest_computation(guest: Guest, program: Program, signal: str) -> None:
    stress(guest, program("test/fibstress.c"), "signal", signal, LAST)
    guest.as_root("rmmod fibdrv")


@pytest.mark.timing("icount")
@pytest.mark.parametrize("signal", ["KILL", "INT"])
def test_it_ends_within_100_ms_of_the_guests_time(timed_guest: Guest, program: Program, signal: str) -> None:
    """Where instructions are counted the guest's time is that count, and no other process of the host is in it."""
    said = stress(timed_guest, program("test/fibstress.c"), "signal", signal, LAST)
    assert number_in(said, "us") < AT_ONCE_US, said


def test_another_signal_waits_for_the_number(guest: Guest, program: Program) -> None:
    stress(guest, program("test/fibstress.c"), "signal", "USR1", 1_000_000)


def test_a_reader_that_waits_for_its_turn_can_be_killed(guest: Guest, program: Program) -> None:
    stress(guest, program("test/fibstress.c"), "waiter", LAST)


def test_a_nonblocking_read_does_not_wait_for_its_turn(guest: Guest, program: Program) -> None:
    stress(guest, program("test/fibstress.c"), "nonblock", LAST)
