# SPDX-License-Identifier: MIT
"""Properties of every guest: the requested kernel, an ordinary user, and Debian's default settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.errors import GuestError
from vmlab.guest.guest import Guest
from vmlab.klog.splat import find_splats
from vmlab.lab.lab import Lab


def test_it_runs_the_kernel_that_its_image_was_made_for(any_guest: Guest, vmlab_lab: Lab, target: Target) -> None:
    assert any_guest.succeed("uname -r").strip() == vmlab_lab.testbed(target).image.release
    assert vmlab_lab.testbed(target).image.release.startswith(f"{target.line}.")


def test_commands_run_as_an_ordinary_user_whose_sudo_asks_nothing(shared_guest: Guest) -> None:
    assert shared_guest.succeed("id -un").strip() == "lab"
    assert shared_guest.succeed("sudo id -un").strip() == "root"


def test_what_root_runs_is_as_killable_as_anything_else(shared_guest: Guest) -> None:
    assert shared_guest.as_root("cat /proc/self/oom_score_adj").strip() == "0"


def test_sysctl_defaults_are_as_debian_ships_them(any_guest: Guest) -> None:
    values = any_guest.succeed("cat /proc/sys/kernel/perf_event_paranoid /proc/sys/kernel/dmesg_restrict").split()
    assert values == ["3", "1"]


def test_the_tools_that_users_reach_for_are_there(shared_guest: Guest) -> None:
    shared_guest.succeed("command -v gcc make strace perf insmod sudo", timeout_s=shared_guest.limits.command_s)
    assert "perf version" in shared_guest.succeed("perf --version")


def test_the_boot_left_no_trouble_in_the_kernel_log(any_guest: Guest) -> None:
    records = any_guest.log.after()
    # On arm64 an earlier line names the boot processor.
    assert any(record.text.startswith("Linux version") for record in records[:2])
    assert find_splats(records) == []


def test_both_output_streams_are_drained_together(shared_guest: Guest) -> None:
    done = shared_guest.run("head -c 3000000 /dev/zero | tr '\\0' e >&2; head -c 3000000 /dev/zero | tr '\\0' o")
    assert (len(done.stdout), len(done.stderr)) == (3_000_000, 3_000_000)


def test_a_signal_shows_as_a_status_above_128(shared_guest: Guest) -> None:
    assert shared_guest.run("sh -c 'kill -SEGV $$'").status == 128 + 11


def test_files_travel_both_ways_unchanged(shared_guest: Guest, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(bytes(range(256)) * 1000)
    there.chmod(0o755)
    shared_guest.put(there, "/tmp/there")
    shared_guest.get("/tmp/there", back)
    assert back.read_bytes() == there.read_bytes()
    assert shared_guest.succeed("stat -c %a /tmp/there").strip() == "755"


def test_a_slow_command_is_no_lost_machine(shared_guest: Guest) -> None:
    with pytest.raises(GuestError, match="the guest still answers"):
        shared_guest.run("sleep 600", timeout_s=2)
    assert shared_guest.succeed("echo fine").strip() == "fine"


def test_a_shell_that_a_signal_ended_is_no_lost_machine(shared_guest: Guest) -> None:
    # Like an oops that kills the shell whose own `echo` writes to a device.
    assert shared_guest.run("kill -9 $$").status == 137
    assert shared_guest.succeed("echo fine") == "fine\n"
