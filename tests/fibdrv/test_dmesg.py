# SPDX-License-Identifier: MIT
"""fibdrv's lines in the kernel log, and the permission to read them."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .probe import DEVICE, Probe
from .traces import LOADED, UNLOADED, dmesg_of

RESTRICTION = "/proc/sys/kernel/dmesg_restrict"


def test_loading_says_one_line(shared_guest: Guest, unloaded_module: str) -> None:
    lines = dmesg_of(shared_guest, f"insmod {unloaded_module}")
    assert len(lines) == 1
    said = LOADED.fullmatch(lines[0])
    assert said is not None, f"loading says {lines[0]!r}"
    assert shared_guest.succeed("awk '$2 == \"fibonacci\" { print $1 }' /proc/devices").strip() == said[1]


@pytest.mark.usefixtures("loaded_module")
def test_unloading_says_one_line(shared_guest: Guest) -> None:
    assert dmesg_of(shared_guest, "rmmod fibdrv") == [UNLOADED]


def test_no_call_says_anything(probe: Probe) -> None:
    path, seq = probe.path, "seq 0 500"
    calls = [
        f"head -n 500 {DEVICE}",
        f"{seq} | {path} read {DEVICE} hex -",
        f"{path} errno {DEVICE} all",
        f"{path} threads {DEVICE} 4 50",
    ]
    assert dmesg_of(probe.guest, f"{{ {' && '.join(calls)}; }} > /dev/null") == []


@pytest.mark.usefixtures("loaded_module")
def test_ordinary_user_reads_the_log_as_far_as_this_kernel_lets(shared_guest: Guest) -> None:
    _require_log_as_restricted(shared_guest)


@pytest.mark.usefixtures("loaded_module")
def test_root_can_let_the_ordinary_user_read_the_log_or_forbid_it(shared_guest: Guest) -> None:
    before = shared_guest.succeed(f"cat {RESTRICTION}").strip()
    other = "0" if before == "1" else "1"
    try:
        shared_guest.succeed(f"sudo sh -c 'echo {other} > {RESTRICTION}'")
        assert _require_log_as_restricted(shared_guest) == other
    finally:
        shared_guest.as_root(f"echo {before} > {RESTRICTION}")
    assert _require_log_as_restricted(shared_guest) == before


def _require_log_as_restricted(guest: Guest) -> str:
    """Require that `dmesg` works for the user exactly when kernel.dmesg_restrict allows it; return that setting."""
    restriction = guest.succeed(f"cat {RESTRICTION}").strip()
    asked = guest.run("dmesg")
    if restriction == "0":
        assert asked.ok, asked.stderr
        assert any(LOADED.search(line) for line in asked.stdout.splitlines())
    else:
        assert not asked.ok
        assert "Operation not permitted" in asked.stderr
        assert asked.stdout == ""
    return restriction
