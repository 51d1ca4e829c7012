# SPDX-License-Identifier: MIT
"""An event loop on a shared open file: readable exactly while no other call uses the position."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .probe import DEVICE
from .stress import Program, number_in

INDEX = 3_000_000
pytestmark = pytest.mark.usefixtures("loaded_module")


@pytest.mark.parametrize("way", ["poll", "select", "epoll"])
@pytest.mark.parametrize("end", ["finish", "kill"])
def test_shared_file_is_readable_again_when_the_other_reader(
    shared_guest: Guest, program: Program, way: str, end: str
) -> None:
    said = shared_guest.succeed(f"{program('test/fibpoll.c')} {DEVICE} {way} {end} {INDEX}")
    assert said.startswith("ok: "), said
    # One wake for the other reader's end, and one more for the lseek with which the program tries.
    assert number_in(said, "wakes") <= 2, said
