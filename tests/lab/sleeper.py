# SPDX-License-Identifier: MIT
"""A slow test, run and interrupted by test_faults.py; not collected otherwise."""

from __future__ import annotations

from pathlib import Path

from vmlab.guest.guest import Guest


def test_sleeps_long(guest: Guest, pytestconfig: object) -> None:
    Path(str(pytestconfig.getoption("vmlab_report")), "asleep").touch()  # type: ignore[attr-defined]
    guest.run("sleep 600", timeout_s=700)
