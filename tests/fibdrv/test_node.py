# SPDX-License-Identifier: MIT
"""The node in /dev: its type, number and permissions."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .probe import DEVICE

# The kernel assigns dynamic majors from 254 down to 234, then from 511 down to 384
# (Documentation/admin-guide/devices.txt).
DYNAMIC_MAJORS = {*range(234, 255), *range(384, 512)}

pytestmark = pytest.mark.usefixtures("loaded_module")


def test_node_is_a_character_device_of_root_that_all_may_read(shared_guest: Guest) -> None:
    assert shared_guest.succeed(f"stat -c '%F,%U,%G,%a' {DEVICE}").strip() == "character special file,root,root,444"


def test_number_is_the_same_in_stat_proc_and_sysfs(shared_guest: Guest) -> None:
    shown = shared_guest.succeed(
        f"stat -c '%t %T' {DEVICE}; awk '$2 == \"fibonacci\" {{ print $1 }}' /proc/devices; "
        "cat /sys/class/fibdrv/fibonacci/dev; grep -x DEVNAME=.* /sys/class/fibdrv/fibonacci/uevent"
    ).splitlines()
    by_stat, by_proc, by_sysfs, name = shown
    major, minor = (int(word, 16) for word in by_stat.split())
    assert major in DYNAMIC_MAJORS
    assert minor == 0
    assert by_proc == str(major)
    assert by_sysfs == f"{major}:{minor}"
    assert name == "DEVNAME=fibonacci"


def test_ordinary_user_can_read(shared_guest: Guest) -> None:
    said = shared_guest.succeed(f"id -u; head -n 7 {DEVICE}").split()
    assert said[0] != "0"
    assert said[1:] == ["0", "1", "1", "2", "3", "5", "8"]


def test_ordinary_user_cannot_open_it_for_writing(shared_guest: Guest) -> None:
    for mode in (">", ">>", "<>"):
        assert "Permission denied" in shared_guest.fail(f"LC_ALL=C; exec 3{mode}{DEVICE}").stderr
