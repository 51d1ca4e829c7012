# SPDX-License-Identifier: MIT
"""A test that takes its whole process with it, and two after it; run by test_leaks.py with one worker of xdist."""

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
