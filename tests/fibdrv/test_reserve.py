# SPDX-License-Identifier: MIT
"""Memory of the machine as a whole: what readers leave to others, and the statistics of mapped pages."""

from __future__ import annotations

import re

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built
from vmlab.module.load import insert

from .edges import END
from .probe import DEVICE
from .stress import Program, number_in, stress
from .test_signals import AT_ONCE_US

LAST = END - 1
SLACK_KIB = 16 * 1024
"""For what the guest's other processes take meanwhile."""
pytestmark = pytest.mark.thorough


def test_readers_leave_an_eighth_of_memory_to_ordinary_processes(guest: Guest, module: Built, program: Program) -> None:
    """Sixty readers of 40 MB each, on a machine of about 1 GB and outside of any cgroup."""
    path = program("test/fibhog.c")
    insert(guest, module, {"max_n": 10**9})
    total_kib = _meminfo_kib(guest, "MemTotal")
    said = guest.as_root(f"{path} {DEVICE} 60 100000000 {total_kib // 8 - SLACK_KIB}")
    assert said.startswith("ok: "), said
    assert number_in(said, "available") >= total_kib // 8 - SLACK_KIB, said
    assert re.search(r"^oom_kill 0$", guest.read("/proc/vmstat"), re.MULTILINE)


@pytest.mark.usefixtures("loaded_module")
def test_mapped_pages_leave_the_statistics_of_vmalloc_as_they_were(guest: Guest, program: Program) -> None:
    """vfree() of pages that vmap() took over subtracts them from VmallocUsed; before 6.13, nobody had added them."""
    fibctl = program("tools/fibctl.c")
    # Once before, so that what a first read leaves behind is in the figure.
    read = f"{fibctl} --format hex {LAST} > /dev/null"
    guest.succeed(read)
    before_kib = _meminfo_kib(guest, "VmallocUsed")
    guest.succeed(f"for i in 1 2 3; do {read}; done")
    assert abs(_meminfo_kib(guest, "VmallocUsed") - before_kib) < 1024
    assert guest.root("grep '\\[fibdrv\\]' /proc/vmallocinfo | grep -v load_module").stdout == ""


@pytest.mark.timing("icount")
def test_a_reader_that_takes_memory_is_killed_within_100_ms(
    timed_guest: Guest, module: Built, program: Program
) -> None:
    """The 220 MB of F(500,000,000) alone take longer: the kernel zeroes them, a counted instruction a byte."""
    timed_guest.as_root("rmmod fibdrv")
    insert(timed_guest, module, {"max_n": 10**9})
    said = stress(timed_guest, program("test/fibstress.c"), "signal", "KILL", 500_000_000)
    assert number_in(said, "us") < AT_ONCE_US, said


def _meminfo_kib(guest: Guest, name: str) -> int:
    found = re.search(rf"^{name}: +(\d+) kB$", guest.read("/proc/meminfo"), re.MULTILINE)
    assert found is not None
    return int(found[1])
