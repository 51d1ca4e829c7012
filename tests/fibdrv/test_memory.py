# SPDX-License-Identifier: MIT
"""Failing allocations: in a cgroup with too little memory, and one by one with the fault-injection build."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.guest.guest import Guest
from vmlab.lab.testbed import Testbed
from vmlab.module.build import Built
from vmlab.module.load import carry, insert

from .cgroup import inside_cgroup, make_cgroup, require_nobody_killed
from .edges import END
from .oracle import fibonacci
from .probe import DEVICE
from .stress import Program, number_in, stress
from .traces import left_behind
from .variants import build_faulty

pytestmark = pytest.mark.thorough

LAST = END - 1
PRIME = 2**61 - 1
PARAMETERS = "/sys/module/fibdrv/parameters"
_TRIES = 20


@pytest.mark.usefixtures("loaded_module")
def test_a_cgroup_smaller_than_the_number_gets_enomem_and_nobody_is_killed(guest: Guest, program: Program) -> None:
    fibctl = program("tools/fibctl.c")
    make_cgroup(guest, "3M")
    for form in ("decimal", "binary"):
        said = guest.as_root(inside_cgroup(f"{fibctl} --format {form} {LAST}"))
        assert "Cannot allocate memory" in said, said
    assert guest.as_root(inside_cgroup(f"{fibctl} 100")) == "354224848179261915075\n"
    require_nobody_killed(guest)
    # Reads without a memory limit succeed.
    assert guest.succeed(f"{fibctl} --format hex {LAST} | wc -c") == "1735606\n"


def test_max_n_may_be_more_than_memory_holds(guest: Guest, module: Built, program: Program) -> None:
    """F(1,000,000,000) takes 87 MB.

    The kernel may free that memory late: 26 of 100 tries in kvmalloc() on a strict boot of 7.3. Then it refuses memory
    and charges the message about it too, so the reader or the other process is killed.
    """
    fibctl = program("tools/fibctl.c")
    insert(guest, module, {"max_n": 10**9})
    make_cgroup(guest, "64M")
    once = inside_cgroup(f"{fibctl} --format binary 1000000000")
    said = guest.as_root(f"for i in $(seq {_TRIES}); do {once}; done")
    assert said.count("Cannot allocate memory") == _TRIES, said
    assert guest.as_root(inside_cgroup(f"{fibctl} 100")) == "354224848179261915075\n"
    require_nobody_killed(guest)


def test_what_no_contiguous_piece_holds_is_mapped_and_right(guest: Guest, module: Built, program: Program) -> None:
    """Contiguous pieces are at most 4 MiB. F(40,000,000), 3.5 MB itself, needs longer ones for its computation."""
    index = 40_000_000
    fibctl = program("tools/fibctl.c")
    insert(guest, module, {"max_n": index})
    said = guest.as_root(f"""
{fibctl} --format hex {index} > /tmp/number & reader=$!
mapped=0
while kill -0 $reader 2> /dev/null; do
  if grep -q '\\[fibdrv\\].* vmap' /proc/vmallocinfo; then mapped=1; fi
done
wait $reader && echo $mapped
""")
    assert said == "1\n"
    # Outside of the assertion: pytest would explain it with the number's decimal digits, for ten minutes.
    residue = int(guest.read("/tmp/number"), 16) % PRIME
    assert residue == fibonacci(index, PRIME)
    assert guest.root("grep '\\[fibdrv\\].* vmap' /proc/vmallocinfo").stdout == ""


@pytest.fixture
def faulty(vmlab_testbed: Testbed, tmp_path: Path) -> Built:
    """The fault-injection build, not loaded."""
    return build_faulty(vmlab_testbed, tmp_path)


@pytest.fixture
def faulty_loaded(guest: Guest, faulty: Built) -> None:
    """The fault-injection build, loaded."""
    insert(guest, faulty)


@pytest.mark.usefixtures("faulty_loaded")
def test_every_allocation_fails_once_and_the_next_read_is_right(guest: Guest, program: Program) -> None:
    """Allocations of an open file with sequential reads: the file, and per read the computation, pair and text."""
    path = program("test/fibstress.c")
    assert guest.read(f"{PARAMETERS}/held") == "0\n"
    # Each read allocates at least a text, except in binary; the pairs grow on the way.
    for form, first, last, least in (
        ("decimal", 340, 400, 62),
        ("hex", 690, 700, 14),
        ("binary", 1_000, 1_400, 4),
        ("decimal", 60_000, 60_002, 8),
    ):
        said = stress(guest, path, "faults", f"{PARAMETERS}/fail", form, first, last, as_root=True)
        assert number_in(said, "failures") >= least
        assert guest.read(f"{PARAMETERS}/held") == "0\n", f"{form} from F({first})"


@pytest.mark.usefixtures("faulty_loaded")
def test_each_step_of_loading_fails_once_and_leaves_nothing_behind(guest: Guest, faulty: Built) -> None:
    guest.as_root("rmmod fibdrv")
    for step in range(1, 6):
        done = guest.root(f"LC_ALL=C insmod {faulty.guest_path} fail={step}")
        assert not done.ok
        assert "Cannot allocate memory" in done.stderr
        assert left_behind(guest) == set()
    guest.as_root(f"insmod {faulty.guest_path} fail=6")
    assert guest.read(f"{PARAMETERS}/fail") == "1\n"
    assert guest.root(f"head -c 2 {DEVICE}").stdout == ""
    assert guest.as_root(f"head -c 2 {DEVICE}") == "0\n"


def test_no_file_can_be_opened_while_a_load_fails_at_its_last_step(
    guest: Guest, faulty: Built, program: Program
) -> None:
    """A file that was opened would outlive the load, and the kernel would call operations that are gone."""
    path, module = program("test/fibopen.c"), carry(guest, faulty)
    opened = guest.as_root(f"""
insmod {module} && major=$(awk '$2 == "fibonacci" {{ print $1 }}' /proc/devices) && rmmod fibdrv || exit 1
# Otherwise the kernel starts modprobe for each open that finds no driver.
echo > /proc/sys/kernel/modprobe
mknod /dev/fibonacci-held c $major 0
{path} /dev/fibonacci-held > /tmp/opened & opener=$!
for i in $(seq 100); do
  if insmod {module} fail=5 2> /dev/null; then exit 1; fi
done
kill $opener && wait $opener && cat /tmp/opened
""")
    assert opened == "0\n"
    assert left_behind(guest) == set()


def test_nothing_is_held_after_readers_storms_and_nonsense(guest: Guest, faulty: Built, program: Program) -> None:
    path = program("test/fibstress.c")
    insert(guest, faulty, {"max_n": 1000})
    stress(guest, path, "readers", "shared", 16, 60)
    stress(guest, path, "storm", 8, 500, 2)
    stress(guest, path, "fuzz", 6, 500, 2)
    assert guest.read(f"{PARAMETERS}/held") == "0\n"
