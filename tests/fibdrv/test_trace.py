# SPDX-License-Identifier: MIT
"""Tracepoints around a computation."""

from __future__ import annotations

import re

import pytest

from vmlab.guest.guest import Guest

from .probe import DEVICE

_TRACING = "/sys/kernel/tracing"


@pytest.mark.usefixtures("loaded_module", "one_processor")
def test_a_read_is_traced_from_begin_to_end(guest: Guest) -> None:
    events = f"{_TRACING}/events/fibdrv"
    said = guest.as_root(f"""
mountpoint -q {_TRACING} || mount -t tracefs tracefs {_TRACING}
echo 1 > {events}/enable
head -n 4 {DEVICE} > /dev/null
dd if={DEVICE} bs=1 count=1 skip=1000 2> /dev/null
echo 0 > {events}/enable
cat {_TRACING}/trace
""")
    seen = re.findall(r"fibdrv_compute_(begin|end): index=(\d+) (.*)", said)
    # A record without room is refused before the computation.
    assert [(step, int(index)) for step, index, _ in seen] == [
        (step, index) for index in range(4) for step in ("begin", "end")
    ]
    assert [rest for step, _, rest in seen if step == "begin"] == ["format=0"] * 4
    # F(0) is not computed from a neighbour, and F(1) starts a pair.
    flags = ["0x0", "0x0", "0x1", "0x1"]
    assert [rest for step, _, rest in seen if step == "end"] == [f"limbs=1 flags={word} error=0" for word in flags]
    # An active tracer holds the module.
    guest.as_root("rmmod fibdrv")
