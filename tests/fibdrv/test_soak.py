# SPDX-License-Identifier: MIT
"""Hundreds of clean runs: a fresh kernel each, the module loaded and read, without a false report."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built

from .oracle import fibonacci
from .probe import DEVICE

_RUNS = 250
"""Runs per kernel: 1000 over the default matrix."""


@pytest.mark.slow
@pytest.mark.parametrize("run", range(_RUNS))
def test_a_clean_run_raises_no_alarm(guest: Guest, loaded_module: Built, run: int) -> None:
    lines = guest.succeed(f"head -n 100 {DEVICE}").split()
    assert lines == [str(fibonacci(n)) for n in range(100)]
