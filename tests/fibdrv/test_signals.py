# SPDX-License-Identifier: MIT
"""Signals during a long computation: a fatal signal ends it at once, others wait for the number."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .edges import END
from .stress import Program, number_in, stress

LAST = END - 1
AT_ONCE_US = 100_000
pytestmark = pytest.mark.usefixtures("loaded_module")


@pytest.mark.parametrize("signal", ["KILL", "INT"])
def test_a_signal_that_kills_ends_the_longest_computation(shared_guest: Guest, program: Program, signal: str) -> None:
    stress(shared_guest, program("test/fibstress.c"), "signal", signal, LAST)


@pytest.mark.thorough
@pytest.mark.timing("icount")
def test_it_ends_within_100_ms_of_the_guests_time(timed_guest: Guest, program: Program) -> None:
    """With counted instructions the guest's time is that count, independent of other processes on the host."""
    path = program("test/fibstress.c")
    said = {signal: stress(timed_guest, path, "signal", signal, LAST) for signal in ("KILL", "INT")}
    assert max(number_in(words, "us") for words in said.values()) < AT_ONCE_US, said


def test_another_signal_waits_for_the_number(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "signal", "USR1", 1_000_000)


def test_a_reader_that_waits_for_its_turn_can_be_killed(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "waiter", LAST)


def test_a_signal_with_a_handler_does_not_end_the_wait(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "interrupt", LAST)


def test_an_lseek_that_waits_for_its_turn_can_be_killed(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "seeker", LAST)


def test_a_nonblocking_pread_waits_for_nobody(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "preader", LAST)


def test_a_nonblocking_read_does_not_wait_for_its_turn(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "nonblock", LAST)


def test_pread_and_other_open_files_wait_for_nobody(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "others", LAST)


# --- during a read of the same open file


def test_lseek_by_a_distance_counts_from_the_end_of_the_read(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "seek", 3_000_000)


def test_another_format_holds_from_the_next_read_on(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "format", 3_000_000)


def test_records_are_whole_while_the_format_changes_all_the_time(shared_guest: Guest, program: Program) -> None:
    stress(shared_guest, program("test/fibstress.c"), "formats", 900, 2_000)
