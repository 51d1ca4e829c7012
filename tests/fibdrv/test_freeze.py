# SPDX-License-Identifier: MIT
"""A reader is frozen in the midst of a computation, as for suspend, and gets its number afterwards."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built
from vmlab.module.load import insert

from .oracle import fibonacci
from .probe import DEVICE
from .stress import Program

FREEZER = "/tmp/freezer"
PRIME = 2**61 - 1
# The freezer of cgroup v1 sends a task the same request as suspend does.
_FREEZE = f"""
mkdir -p {FREEZER} && mount -t cgroup -o freezer none {FREEZER} && mkdir {FREEZER}/readers || exit 1
READ > /tmp/number & reader=$!
ticks() {{ set -- $(cat /proc/$reader/stat); echo ${{15}}; }}
while [ $(ticks) -lt 10 ]; do sleep 0.05; done
echo $reader > {FREEZER}/readers/cgroup.procs
echo FROZEN > {FREEZER}/readers/freezer.state
for try in $(seq 100); do
  if grep -qx FROZEN {FREEZER}/readers/freezer.state; then break; fi
  sleep 0.05
done
cat {FREEZER}/readers/freezer.state
"""
_THAW = f"echo THAWED > {FREEZER}/readers/freezer.state\n"


def test_a_reader_is_frozen_long_before_its_number_is_computed(guest: Guest, module: Built, program: Program) -> None:
    insert(guest, module, {"max_n": 10**9})
    # F(1,000,000,000) takes minutes under emulation; a task that is killed need not be thawed to begin with.
    read = f"dd if={DEVICE} of=/dev/null bs=100M count=1 skip=300000000 iflag=skip_bytes"
    del program
    assert guest.as_root(_FREEZE.replace("READ", read) + _THAW + "kill -9 $reader") == "FROZEN\n"


@pytest.mark.usefixtures("loaded_module")
def test_a_reader_that_was_frozen_gets_the_right_number(guest: Guest, program: Program) -> None:
    index = 10_000_000
    read = f"{program('tools/fibctl.c')} --format hex {index}"
    said = guest.as_root(_FREEZE.replace("READ", read) + _THAW + "wait $reader && echo read")
    assert said == "FROZEN\nread\n"
    number = int(guest.read("/tmp/number"), 16) % PRIME
    assert number == fibonacci(index, PRIME)
