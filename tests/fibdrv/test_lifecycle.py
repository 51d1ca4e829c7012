# SPDX-License-Identifier: MIT
"""Loading, refusing to load, and unloading without leftovers."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built

from .probe import DEVICE
from .traces import CYCLES_S, EVERYTHING, LOADED, UNLOADED, dmesg_of, left_behind


def test_twenty_loads_and_unloads_say_a_line_each_and_nothing_else(guest: Guest, module: Built) -> None:
    _require_cycles(guest, module.guest_path, 20)


@pytest.mark.slow
def test_two_hundred_loads_and_unloads_say_a_line_each_and_nothing_else(guest: Guest, module: Built) -> None:
    _require_cycles(guest, module.guest_path, 200, timeout_s=CYCLES_S)


def _require_cycles(guest: Guest, module: str, count: int, *, timeout_s: float | None = None) -> None:
    cycle = f"insmod {module} && head -n 3 {DEVICE} && rmmod fibdrv"
    output = f"/tmp/cycles-{count}"
    lines = dmesg_of(guest, f"for i in $(seq {count}); do {cycle} || exit 1; done > {output}", timeout_s=timeout_s)
    assert guest.succeed(f"cat {output}").split() == ["0", "1", "1"] * count
    loads, unloads = lines[::2], lines[1::2]
    strange = [line for line in loads if not LOADED.fullmatch(line)] + [line for line in unloads if line != UNLOADED]
    assert not strange, f"the kernel says {strange[0]!r}"
    assert (len(loads), len(unloads)) == (count, count)
    assert left_behind(guest) == set()


def test_loading_twice_is_refused(shared_guest: Guest, unloaded_module: str) -> None:
    answer = "/tmp/twice"
    load = f"insmod {unloaded_module}"
    lines = dmesg_of(shared_guest, f"{load} && ! LC_ALL=C {load} 2> {answer}")
    assert "File exists" in shared_guest.succeed(f"cat {answer}")
    assert len(lines) == 1
    assert LOADED.fullmatch(lines[0]), f"the kernel says {lines[0]!r}"
    assert shared_guest.succeed(f"head -n 3 {DEVICE}").split() == ["0", "1", "1"]


@pytest.mark.parametrize(
    ("parameter", "reason"),
    [
        pytest.param("max_n=0", "max_n is 0, but must be 1 to 1000000000", id="max_n-zero"),
        pytest.param("max_n=1000000001", "max_n is 1000000001, but must be 1 to 1000000000", id="max_n-large"),
        pytest.param("max_n=-1", "`-1' invalid for parameter `max_n'", id="max_n-negative"),
        pytest.param("max_n=many", "`many' invalid for parameter `max_n'", id="max_n-text"),
        pytest.param("keep_kib=65537", "keep_kib is 65537, but must be 0 to 65536", id="keep_kib-large"),
        pytest.param("keep_kib=few", "`few' invalid for parameter `keep_kib'", id="keep_kib-text"),
        pytest.param(
            "keep_total_kib=1048577", "keep_total_kib is 1048577, but must be 0 to 1048576", id="keep_total_kib-large"
        ),
        pytest.param("format=nonsense", "format is 'nonsense', but must be decimal, hex or binary", id="format"),
    ],
)
def test_wrong_parameter_is_refused_and_leaves_nothing_behind(
    shared_guest: Guest, unloaded_module: str, parameter: str, reason: str
) -> None:
    answer = "/tmp/refused"
    lines = dmesg_of(shared_guest, f"! LC_ALL=C insmod {unloaded_module} {parameter} 2> {answer}")
    # kmod's message for EINVAL.
    assert "Invalid parameters" in shared_guest.succeed(f"cat {answer}")
    assert lines == [f"fibdrv: {reason}"]
    assert left_behind(shared_guest) == set()
    assert shared_guest.as_root(f"insmod {unloaded_module} && head -n 3 {DEVICE}").split() == ["0", "1", "1"]


@pytest.mark.usefixtures("loaded_module")
def test_unloading_while_the_device_is_open_is_refused(guest: Guest) -> None:
    done = guest.run(f"exec 3< {DEVICE}; sudo rmmod fibdrv")
    assert not done.ok
    assert "fibdrv is in use" in done.stderr
    assert left_behind(guest) == EVERYTHING
    # The shell that held the device open has ended.
    guest.succeed("sudo rmmod fibdrv")


def test_unloading_leaves_nothing_behind(shared_guest: Guest, unloaded_module: str) -> None:
    shared_guest.succeed(f"sudo insmod {unloaded_module}")
    assert left_behind(shared_guest) == EVERYTHING
    shared_guest.succeed("sudo rmmod fibdrv")
    assert left_behind(shared_guest) == set()
    assert "No such file or directory" in shared_guest.fail(f"LC_ALL=C cat {DEVICE}").stderr
