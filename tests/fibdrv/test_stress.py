# SPDX-License-Identifier: MIT
"""Concurrent readers, many lseek calls, invalid requests, and loading while a reader runs."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built

from .probe import DEVICE
from .stress import Program, stress
from .traces import CYCLES_S, LOADED, UNLOADED, dmesg_of, left_behind

READERS = 16


@pytest.fixture
def stress_path(program: Program) -> str:
    """Path of `fibstress` in the guest."""
    return program("test/fibstress.c")


def _load(guest: Guest, module: str, *parameters: str) -> None:
    guest.as_root(" ".join(["insmod", module, *parameters]))


@pytest.mark.usefixtures("loaded_module")
def test_sixteen_readers_on_one_file_get_each_number_once(shared_guest: Guest, stress_path: str) -> None:
    stress(shared_guest, stress_path, "readers", "shared", READERS, 60)


@pytest.mark.usefixtures("loaded_module")
def test_sixteen_readers_on_their_own_files_get_every_number(shared_guest: Guest, stress_path: str) -> None:
    stress(shared_guest, stress_path, "readers", "own", READERS, 500)


def test_a_storm_of_lseek_and_read_on_one_file_tears_nothing(
    shared_guest: Guest, unloaded_module: str, stress_path: str
) -> None:
    _load(shared_guest, unloaded_module, "max_n=1000")
    lines = dmesg_of(shared_guest, f"{stress_path} storm {DEVICE} 8 2000 1 > /tmp/storm")
    assert shared_guest.succeed("cat /tmp/storm").startswith("ok: ")
    assert lines == []


def test_nonsense_of_all_kinds_gets_documented_answers_and_nothing_in_the_log(
    shared_guest: Guest, unloaded_module: str, stress_path: str
) -> None:
    _fuzz(shared_guest, unloaded_module, stress_path, rounds=1500, seeds=[1])


@pytest.mark.slow
def test_a_minute_of_nonsense(guest: Guest, unloaded_module: str, stress_path: str) -> None:
    begun = float(guest.read("/proc/uptime").split()[0])
    seed = 1000
    while float(guest.read("/proc/uptime").split()[0]) < begun + 60:
        _fuzz(guest, unloaded_module, stress_path, rounds=5000, seeds=[seed, seed + 1])
        seed += 2


def _fuzz(guest: Guest, module: str, path: str, *, rounds: int, seeds: list[int]) -> None:
    guest.as_root("if grep -q '^fibdrv ' /proc/modules; then rmmod fibdrv; fi")
    _load(guest, module, "max_n=20000")
    for seed in seeds:
        lines = dmesg_of(guest, f"{path} fuzz {DEVICE} 6 {rounds} {seed} > /tmp/fuzz; true")
        said = guest.succeed("cat /tmp/fuzz")
        assert said.startswith("ok: "), f"seed {seed}: {said}"
        assert lines == [], f"seed {seed}: the kernel says {lines[0]!r}"
    # No file is open, so the module can be unloaded.
    guest.as_root("rmmod fibdrv")


@pytest.mark.thorough
def test_five_loads_and_unloads_under_a_reader(guest: Guest, unloaded_module: str, stress_path: str) -> None:
    _require_cycles_under_a_reader(guest, unloaded_module, stress_path, 5)


@pytest.mark.slow
def test_two_hundred_loads_and_unloads_under_a_reader(guest: Guest, unloaded_module: str, stress_path: str) -> None:
    _require_cycles_under_a_reader(guest, unloaded_module, stress_path, 200, timeout_s=CYCLES_S)


def _require_cycles_under_a_reader(
    guest: Guest, module: str, path: str, count: int, *, timeout_s: float | None = None
) -> None:
    # rmmod's message for an open file, and the kernel's (EWOULDBLOCK) for one opened in the meantime.
    script = f"""
export LC_ALL=C
refused='in use|Resource temporarily unavailable'
{path} hammer {DEVICE} > /tmp/hammer 2>&1 & hammer=$!
for i in $(seq {count}); do
  insmod {module} || exit 1
  sleep 0.1
  until rmmod fibdrv 2> /tmp/refusal; do grep -Eq "$refused" /tmp/refusal || exit 2; done
done
kill -0 $hammer || exit 3
kill $hammer
"""
    lines = dmesg_of(guest, f"{{ {script} }} > /tmp/cycles", timeout_s=timeout_s)
    assert guest.succeed("cat /tmp/hammer") == ""
    assert [line for line in lines[::2] if not LOADED.fullmatch(line)] == []
    assert lines[1::2] == [UNLOADED] * count
    assert len(lines) == 2 * count
    assert left_behind(guest) == set()


@pytest.mark.thorough
def test_nothing_is_held_when_every_file_is_closed(guest: Guest, loaded_module: Built, stress_path: str) -> None:
    """Slab, vmalloc and nodes. Records of F(10,000) exceed the smallest caches, those of F(200,000) exceed the slab."""
    held = "grep -c '\\[fibdrv\\]' /proc/vmallocinfo; ls /dev | cksum"
    slab = "awk '/^kmalloc/ { bytes += $2 * $4 } END { print bytes }' /proc/slabinfo"
    stress(guest, stress_path, "cycles", 10_000, 200)
    before = guest.root(held).stdout
    slab_before = int(guest.as_root(slab))
    stress(guest, stress_path, "cycles", 10_000, 1_000)
    stress(guest, stress_path, "cycles", 200_000, 10)
    assert guest.root(held).stdout == before
    # One lost record per file would be 6 MB; caches grow by some hundred KB without a leak.
    grown = int(guest.as_root(slab)) - slab_before
    assert grown < 2_000_000, f"the slab has grown by {grown} bytes"
