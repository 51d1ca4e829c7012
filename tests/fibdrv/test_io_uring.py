# SPDX-License-Identifier: MIT
"""Reads by io_uring, which pass an offset of their own or ask for the position with -1."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vmlab.guest.guest import Guest

from .probe import DEVICE
from .stress import Program

_Reader = Callable[..., list[str]]
pytestmark = pytest.mark.usefixtures("loaded_module")


@pytest.fixture(params=["block", "nonblock"])
def by_io_uring(request: pytest.FixtureRequest, shared_guest: Guest, program: Program) -> _Reader:
    """Reads of a file that is put at F(20), blocking and with O_NONBLOCK: io_uring calls the driver by two ways."""
    path = program("test/fiburing.c")

    def read(*offsets: int) -> list[str]:
        words = " ".join(map(str, offsets))
        return shared_guest.succeed(f"LC_ALL=C {path} {DEVICE} 20 {request.param} {words}").splitlines()

    return read


def test_io_uring_reads_the_number_at_the_offset_it_names(by_io_uring: _Reader) -> None:
    assert by_io_uring(10, 0, 90, 10_000_001) == ["55", "0", "2880067194370816120", "EOF", "position 20"]


def test_io_uring_reads_at_the_position_when_it_names_no_offset(by_io_uring: _Reader) -> None:
    assert by_io_uring(-1, -1, 10, -1) == ["6765", "10946", "55", "17711", "position 23"]


def test_io_uring_is_refused_an_offset_that_is_no_index(by_io_uring: _Reader) -> None:
    assert by_io_uring(2**63 + 1, -257, -1) == ["Invalid argument", "Invalid argument", "6765", "position 21"]
    # The kernel's own answer where offset and length together pass 2^64.
    assert by_io_uring(-2) == ["Value too large for defined data type", "position 20"]
