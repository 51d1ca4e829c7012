# SPDX-License-Identifier: MIT
"""A test whose QEMU is killed, and one after it; run by test_damage.py."""

from __future__ import annotations

import os
import signal

from vmlab.guest.guest import Guest
from vmlab.machine.registry import machines


def test_loses_its_machine(guest: Guest) -> None:
    mine = [record for directory, record in machines() if f"-{os.getpid()}-" in directory.name]
    assert len(mine) == 1
    os.kill(mine[0].qemu.pid, signal.SIGKILL)
    guest.succeed("true")


def test_has_another(guest: Guest) -> None:
    guest.succeed("true")
