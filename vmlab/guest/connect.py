# SPDX-License-Identifier: MIT
"""Connections from the host to a machine's guest: SSH, and the line for root commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from vmlab.guest.guest import Guest
from vmlab.guest.helper import start_helper
from vmlab.guest.root_shell import LineTransport, start_line
from vmlab.guest.ssh import Address, SshTransport, connect
from vmlab.guest.transport import Commands
from vmlab.host.limits import Limits
from vmlab.image.image import GUEST_USER
from vmlab.machine.argv import LINE_NAME
from vmlab.machine.machine import Machine


def reach(
    machine: Machine,
    wait_s: float,
    limits: Limits,
    *,
    user: str = GUEST_USER,
    is_first_boot: bool = False,
) -> SshTransport:
    """Connect to a machine's guest, which may still be booting. At its first boot it may not have the lab's keys yet.
    Raises `MachineLost` when it does not answer."""
    keys = machine.keys
    assert keys is not None, "this machine's guest has no keys"
    return connect(
        Address(port=machine.ssh_port, host_key=keys.public(keys.host), user_key=keys.user, user=user),
        timeout_s=wait_s,
        step_timeout_s=limits.connect_s,
        require_alive=machine.require_alive,
        evidence=machine.console.tail,
        is_first_boot=is_first_boot,
    )


def await_booted(guest: Guest) -> None:
    """Wait until a guest's services have started; a failed service is ignored."""
    guest.root("systemctl is-system-running --wait", timeout_s=guest.limits.boot_s)


def root_opener(machine: Machine, limits: Limits, *, has_root_shell: bool) -> Callable[[], Commands]:
    """Factory of a guest's root connections: first the line, started over SSH after a boot; then SSH, because a line
    stays blocked after a slow command."""
    is_first = True

    def open_root() -> Commands:
        nonlocal is_first
        if is_first and machine.line is not None:
            is_first = False
            if not has_root_shell:
                # The guest may still be booting, so use the boot's timeout again.
                with contextlib.closing(reach(machine, limits.boot_s, limits, user="root")) as root:
                    start_line(root, LINE_NAME, timeout_s=limits.command_s)
                LineTransport(machine.line).run(start_helper(), timeout_s=limits.command_s)
            return LineTransport(machine.line)
        return reach(machine, limits.connect_s, limits, user="root")

    return open_root
