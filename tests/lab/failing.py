# SPDX-License-Identifier: MIT
"""A test that fails and leaves evidence in its guest; run by test_leaks.py."""

from __future__ import annotations

from vmlab.guest.guest import Guest


def test_fails(guest: Guest) -> None:
    guest.succeed("echo evidence >~/evidence")
    assert guest.succeed("echo 1") == "2\n"
