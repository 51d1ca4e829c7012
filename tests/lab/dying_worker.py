# SPDX-License-Identifier: MIT
"""A test that kills its whole process, and two after it; run by test_leaks.py with one xdist worker."""

from __future__ import annotations

import os
import signal

from vmlab.guest.guest import Guest


def test_kills_its_worker(guest: Guest) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_has_another_worker(guest: Guest) -> None:
    guest.succeed("true")


def test_is_the_last(shared_guest: Guest) -> None:
    shared_guest.succeed("true")
