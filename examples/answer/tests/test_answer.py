# SPDX-License-Identifier: MIT
"""Tests of /dev/answer: each runs once on every chosen kernel."""

from vmlab import Built, Guest, insert, remove


def test_reading_the_device_gives_the_answer(guest: Guest, loaded_module: Built) -> None:
    assert guest.succeed("cat /dev/answer") == "42\n"


def test_a_parameter_sets_another_answer(guest: Guest, module: Built) -> None:
    insert(guest, module, {"answer": 7})

    assert guest.succeed("cat /dev/answer") == "7\n"


def test_an_ordinary_user_cannot_write_to_it(guest: Guest, loaded_module: Built) -> None:
    denied = guest.fail("echo 43 >/dev/answer")

    assert "Permission denied" in denied.stderr


def test_the_device_is_gone_after_unloading(guest: Guest, loaded_module: Built) -> None:
    remove(guest, loaded_module.info.name)

    guest.fail("test -e /dev/answer")
