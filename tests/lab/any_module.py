# SPDX-License-Identifier: MIT
"""Tests for any module, run by test_faults.py; not collected otherwise."""

from __future__ import annotations

from vmlab.guest.guest import Guest
from vmlab.module.build import Built


def test_loads(loaded_module: Built, guest: Guest) -> None:
    assert loaded_module.info.name in guest.read("/proc/modules")


def test_survives_a_read(loaded_module: Built, guest: Guest) -> None:
    guest.run(f"cat /dev/{loaded_module.info.name}")
