# SPDX-License-Identifier: MIT
"""The account of what all open files keep for readers that read on, and its limit `keep_total_kib`."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .probe import DEVICE
from .stress import Program

INDEX = 10_000
PAIR_BYTES = 2 * 109 * 8
"""The least that a pair at F(10,000) takes: two numbers of 109 words."""
FILES = 150


@pytest.mark.parametrize("total_kib", [0, 64, 128])
def test_open_files_together_keep_no_more_than(
    shared_guest: Guest, unloaded_module: str, program: Program, total_kib: int
) -> None:
    shared_guest.as_root(f"insmod {unloaded_module} keep_total_kib={total_kib}")
    kept, kept_by_the_next = _kept(shared_guest, program, FILES)
    most = total_kib * 1024 // PAIR_BYTES
    assert most * 3 // 4 <= kept <= most
    # What was kept is accounted for no longer than the file is open.
    assert kept_by_the_next == kept


@pytest.mark.usefixtures("loaded_module")
def test_every_one_of_many_open_files_keeps_its_pair_by_default(shared_guest: Guest, program: Program) -> None:
    assert _kept(shared_guest, program, FILES) == [FILES, FILES]


def _kept(guest: Guest, program: Program, files: int) -> list[int]:
    """The number of open files that have kept a pair, in each of two rounds."""
    return [int(line) for line in guest.succeed(f"{program('test/fibkeep.c')} {DEVICE} {files} {INDEX}").split()]
