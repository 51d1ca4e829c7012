# SPDX-License-Identifier: MIT
"""Statistics of the last read, by the in-guest program `fibstats`, which checks its own results."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .edges import END
from .probe import DEVICE
from .stress import Program

pytestmark = pytest.mark.usefixtures("loaded_module")


def _require(guest: Guest, path: str, words: str, *, as_root: bool = False) -> None:
    line = f"{path} {DEVICE} {words}"
    done = guest.root(line) if as_root else guest.run(line)
    assert done.ok, done.stdout.strip() or done.stderr.strip()
    assert done.stdout.startswith("ok: ")


def test_statistics_tell_the_parts_of_a_read_and_nothing_of_one_that_failed(
    shared_guest: Guest, program: Program
) -> None:
    _require(shared_guest, program("test/fibstats.c"), "parts")


def test_time_of_a_copy_that_is_held_up_is_the_copys(shared_guest: Guest, program: Program) -> None:
    # userfaultfd() of faults in the kernel needs root: sysctl vm.unprivileged_userfaultfd.
    _require(shared_guest, program("test/fibstats.c"), "copy", as_root=True)


def test_statistics_stay_when_a_read_is_killed(shared_guest: Guest, program: Program) -> None:
    _require(shared_guest, program("test/fibstats.c"), f"killed {END - 1}")
