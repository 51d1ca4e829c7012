# SPDX-License-Identifier: MIT
"""KFENCE is started in a booted guest, or the unsuitable kernel is named."""

from __future__ import annotations

import pytest

from unit.fakes import FakeTransport, completed, guest
from vmlab.errors import AssetError
from vmlab.guest.kfence import start_kfence
from vmlab.guest.transport import Completed


def _kernel(command_ends: Completed) -> FakeTransport:
    return FakeTransport({"set": command_ends})


def test_a_kernel_that_takes_the_interval_guards_its_allocations() -> None:
    kernel = _kernel(completed("set", stdout="1\n"))

    start_kfence(guest(kernel))

    (command,) = kernel.commands
    assert command.index(">burst") < command.index(">sample_interval")


@pytest.mark.parametrize(
    "ends", [completed("set", status=1, stderr="can't cd to /sys/module/kfence"), completed("set", stdout="0\n")]
)
def test_a_kernel_that_does_not_start_it_is_an_images_fault(ends: Completed) -> None:
    with pytest.raises(AssetError, match="does not start KFENCE"):
        start_kfence(guest(_kernel(ends)))
