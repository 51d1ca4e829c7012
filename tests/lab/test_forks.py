# SPDX-License-Identifier: MIT
"""A fork continues from the frozen guest, is isolated, and leaves nothing behind."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from vmlab.errors import GuestError
from vmlab.guest.guest import Guest
from vmlab.lab.testbed import Testbed
from vmlab.module.build import Built

from .conftest import own_directories

_BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def _both(testbed: Testbed, command: str) -> list[str]:
    """Output of a command in two forks that run at the same time."""
    with testbed.fork() as one, testbed.fork() as other:
        return [running.guest.succeed(command).strip() for running in (one, other)]


def test_forks_run_the_same_boot(vmlab_testbed: Testbed) -> None:
    one, other = _both(vmlab_testbed, f"{_BOOT_ID}; cat /etc/machine-id; cat /sys/class/net/eth0/address")
    assert one == other


def test_forks_draw_different_random_numbers(vmlab_testbed: Testbed) -> None:
    one, other = _both(vmlab_testbed, "head -c 32 /dev/urandom | od -An -v -tx1; cat /proc/sys/kernel/random/uuid")
    assert set(one.split()) != set(other.split())
    assert one.splitlines()[-1] != other.splitlines()[-1]


def test_a_forks_clock_is_the_hosts_and_its_uptime_goes_on(guest: Guest) -> None:
    before = time.time()
    clock, uptime = guest.succeed("date +%s.%N; cut -d' ' -f1 /proc/uptime").split()
    assert before - 2 <= float(clock) <= time.time() + 2
    started = time.monotonic()
    later = float(guest.succeed("sleep 2; cut -d' ' -f1 /proc/uptime"))
    assert 1.9 <= later - float(uptime) <= time.monotonic() - started + 2


def test_what_one_fork_writes_no_other_sees(vmlab_testbed: Testbed) -> None:
    with vmlab_testbed.fork() as one:
        one.guest.succeed("echo mine | sudo tee /etc/mine /dev/shm/mine && sync")
        with vmlab_testbed.fork() as other:
            other.guest.fail("ls /etc/mine")
            other.guest.fail("ls /dev/shm/mine")
    with vmlab_testbed.fork() as later:
        later.guest.fail("ls /etc/mine")


def test_a_fork_leaves_no_process_no_directory_and_no_port(vmlab_testbed: Testbed) -> None:
    before = own_directories()
    with vmlab_testbed.fork() as running:
        pid, port = running.machine.pid, running.machine.ssh_port
        assert len(own_directories() - before) == 1
    assert not Path("/proc", str(pid)).exists()
    assert own_directories() == before
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
        pass


def test_a_built_guest_has_the_sources_and_the_module(guest: Guest, module: Built) -> None:
    guest.succeed(f"test -f {module.guest_path} && test -f $(dirname {module.guest_path})/Kbuild")
    guest.fail(f"grep '^{module.info.name} ' /proc/modules")


def test_a_loaded_guest_has_it_in_its_kernel(guest: Guest, loaded_module: Built) -> None:
    guest.succeed(f"grep '^{loaded_module.info.name} ' /proc/modules")


def test_a_command_that_blocks_the_labs_line_costs_only_that_line(guest: Guest) -> None:
    with pytest.raises(GuestError, match="the guest still answers"):
        guest.as_root("sleep 600", timeout_s=1)
    assert guest.as_root("id -u").strip() == "0"
