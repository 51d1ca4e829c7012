# SPDX-License-Identifier: MIT
"""Loads that fail while a program tries to open the device."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.guest.guest import Guest
from vmlab.lab.testbed import Testbed
from vmlab.module.load import insert

from .stress import Program
from .traces import left_behind
from .variants import build_faulty

_NODE = "/tmp/held"
_LOADS = 60
_STEPS = 5
"""Steps of loading that can fail."""


@pytest.mark.thorough
def test_nobody_can_open_the_device_of_a_load_that_fails(
    guest: Guest, vmlab_testbed: Testbed, program: Program, tmp_path: Path
) -> None:
    """An open file would outlive the module: the kernel waits for nobody when a load fails (do_init_module())."""
    faulty = build_faulty(vmlab_testbed, tmp_path)
    path = program("test/fibstress.c")
    insert(guest, faulty)
    # The next load gets the same number, and this node is there before it.
    guest.as_root(f"mknod {_NODE} c $(awk '$2 == \"fibonacci\" {{ print $1 }}' /proc/devices) 0 && rmmod fibdrv")
    said = guest.as_root(f"""
{path} never {_NODE} > /tmp/never 2>&1 & opener=$!
loaded=0
for i in $(seq {_LOADS}); do
  if insmod {faulty.guest_path} fail=$((i % {_STEPS} + 1)) 2> /tmp/refused; then loaded=1; fi
done
kill $opener
cat /tmp/never
echo loaded $loaded
""")
    assert said == "loaded 0\n"
    assert left_behind(guest) == set()
