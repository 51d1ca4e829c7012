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


def test_mapped_pages_leave_the_statistics_of_vmalloc_as_they_were(
    guest: Guest, module: Built, program: Program
) -> None:
    """vfree() of pages that vmap() took over subtracts them from VmallocUsed; before 6.13, nobody had added them.

    F(40,000,000) needs pieces that no contiguous pages hold.
    """
    fibctl = program("tools/fibctl.c")
    insert(guest, module, {"max_n": 40_000_000})
    before_kib = _meminfo_kib(guest, "VmallocUsed")
    guest.succeed(f"{fibctl} --format binary 40000000 > /dev/null")
    assert abs(_meminfo_kib(guest, "VmallocUsed") - before_kib) < 1024
    assert guest.root("grep '\\[fibdrv\\].* vmap' /proc/vmallocinfo").stdout == ""


@pytest.mark.usefixtures("loaded_module")
def test_what_reads_were_charged_goes_back_to_the_cgroup(guest: Guest, program: Program) -> None:
    """Pages that are taken together and freed one by one; 1.3 MB a read."""
    cgroup = "/sys/fs/cgroup/fibdrv-charges"
    read = (
        f"sh -c 'echo $$ > {cgroup}/cgroup.procs; exec {program('tools/fibctl.c')} --format binary 3000000' > /dev/null"
    )
    said = guest.as_root(f"""
echo +memory > /sys/fs/cgroup/cgroup.subtree_control && mkdir {cgroup} || exit 1
{read} && cat {cgroup}/memory.current
for i in $(seq 20); do {read} || exit 1; done
cat {cgroup}/memory.current
""")
    once, at_the_end = (int(line) for line in said.split())
    assert at_the_end < once + 1_000_000


@pytest.mark.timing("icount")
def test_a_reader_that_takes_memory_is_killed_within_100_ms(
    timed_guest: Guest, module: Built, program: Program
) -> None:
    """The 220 MB of F(500,000,000) alone take longer: the kernel zeroes them, a counted instruction a byte."""
    insert(timed_guest, module, {"max_n": 10**9})
    said = stress(timed_guest, program("test/fibstress.c"), "signal", "KILL", 500_000_000)
    assert number_in(said, "us") < AT_ONCE_US, said


def _meminfo_kib(guest: Guest, name: str) -> int:
    found = re.search(rf"^{name}: +(\d+) kB$", guest.read("/proc/meminfo"), re.MULTILINE)
    assert found is not None
    return int(found[1])
