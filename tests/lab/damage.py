# SPDX-License-Identifier: MIT
"""Three tests that ruin their guests, and ten later tests that must not notice; run by test_damage.py."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built

# Allocated but unwritten blocks take no space on the host.
_FILL = "fallocate -l $(($(df --output=avail -B1 / | tail -n 1) - 1000000)) ~/fill; head -c 8000000 /dev/zero >~/over"


def test_panics(guest: Guest) -> None:
    guest.run("sync; echo c | sudo tee /proc/sysrq-trigger", timeout_s=20)


def test_hangs_with_interrupts_off(guest: Guest, loaded_module: Built) -> None:
    guest.run(f"cat /dev/{loaded_module.info.name}", timeout_s=5)


def test_fills_its_disk(guest: Guest) -> None:
    assert "No space left on device" in guest.fail(_FILL).stderr


@pytest.mark.parametrize("number", range(10))
def test_notices_nothing(guest: Guest, loaded_module: Built, number: int) -> None:
    assert guest.succeed("ls ~").split() == []
    guest.succeed("echo mine >~/mine && sync")
    assert f"{loaded_module.info.name} " in guest.read("/proc/modules")
    assert "sysrq triggered crash" not in "".join(record.text for record in guest.log.after())
