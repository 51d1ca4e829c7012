# SPDX-License-Identifier: MIT
"""What the experiments share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.guest.guest import Guest
from vmlab.guest.perf import Privilege

from .perf_row import PerfRow, Rows

_HERE = Path(__file__).parent


@pytest.fixture
def perf_row(shared_guest: Guest, program: Callable[[Path], str]) -> Callable[..., PerfRow]:
    """A function: the errno of each operation, tried by an ordinary user, by one with CAP_PERFMON, or by root."""
    rows = Rows(shared_guest, program(_HERE / "perf_open.c"))

    def ask(privilege: Privilege, *, refusal: int = 0) -> PerfRow:
        return rows.ask(privilege, refusal=refusal)

    return ask


@pytest.fixture
def busy_path(shared_guest: Guest, program: Callable[[Path], str]) -> str:
    """Where `busy` lies in the guest."""
    return program(_HERE / "busy.c")
