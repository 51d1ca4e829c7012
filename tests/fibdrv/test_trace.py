# SPDX-License-Identifier: MIT
"""Tracepoints around a computation."""

from __future__ import annotations

import re

import pytest

from vmlab.guest.guest import Guest

from .cgroup import inside_cgroup, make_cgroup
from .edges import END
from .probe import DEVICE
from .stress import Program

_TRACING = "/sys/kernel/tracing"


def _traced(guest: Guest, command: str) -> list[tuple[str, str, str]]:
    """Events during a command that root runs: begin or end, the index, and the rest of the line."""
    events = f"{_TRACING}/events/fibdrv"
    said = guest.as_root(f"""
mountpoint -q {_TRACING} || mount -t tracefs tracefs {_TRACING}
echo 1 > {events}/enable
{command}
echo 0 > {events}/enable
cat {_TRACING}/trace
""")
    return re.findall(r"fibdrv_compute_(begin|end): index=(\d+) (.*)", said)


@pytest.mark.usefixtures("loaded_module", "one_processor")
def test_a_read_is_traced_from_begin_to_end(guest: Guest) -> None:
    seen = _traced(guest, f"head -n 4 {DEVICE} > /dev/null; dd if={DEVICE} bs=1 count=1 skip=1000 2> /dev/null")
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


@pytest.mark.usefixtures("loaded_module", "one_processor")
def test_a_computation_that_is_killed_ends_with_its_error(guest: Guest, program: Program) -> None:
    last = END - 1
    seen = _traced(guest, f"{program('test/fibstress.c')} signal {DEVICE} KILL {last}")
    # F(10,000,000) has 6,942,418 bits. -4 is EINTR.
    assert seen == [("begin", str(last), "format=0"), ("end", str(last), "limbs=108476 flags=0x0 error=-4")]


@pytest.mark.usefixtures("loaded_module", "one_processor")
def test_a_computation_without_memory_ends_with_its_error(guest: Guest, program: Program) -> None:
    last = END - 1
    make_cgroup(guest, "3M")
    seen = _traced(guest, inside_cgroup(f"{program('tools/fibctl.c')} {last}"))
    # -12 is ENOMEM.
    assert seen == [("begin", str(last), "format=0"), ("end", str(last), "limbs=108476 flags=0x0 error=-12")]
