# SPDX-License-Identifier: MIT
"""What the experiments share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.guest.guest import Guest

from .perf_row import Rows

_HERE = Path(__file__).parent


@pytest.fixture
def rows(shared_guest: Guest, program: Callable[[Path], str]) -> Rows:
    """`perf_open`: the errno of each operation, tried by an ordinary user, by one with CAP_PERFMON, or by root."""
    return Rows(shared_guest, program(_HERE / "perf_open.c"))


@pytest.fixture
def busy_path(shared_guest: Guest, program: Callable[[Path], str]) -> str:
    """Where `busy` lies in the guest."""
    return program(_HERE / "busy.c")
