# SPDX-License-Identifier: MIT
"""Connections from the host to a machine's guest: SSH, and the line for root commands."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from vmlab.guest.fork_check import ForkUnproved
from vmlab.guest.guest import Guest
from vmlab.guest.helper import start_helper
from vmlab.guest.root_shell import LineTransport, start_line
from vmlab.guest.ssh import SshTransport, connect
from vmlab.guest.ssh_login import Address
from vmlab.guest.ssh_session import Session, begin_session, continue_session
from vmlab.guest.transport import Commands, CommandTooSlow, TransportLost
from vmlab.host.limits import Limits
from vmlab.image.image import GUEST_USER
from vmlab.machine.argv import LINE_NAME, SESSION_NAME
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
    return connect(
        _address(machine, user),
        timeout_s=wait_s,
        step_timeout_s=limits.connect_s,
        require_alive=machine.require_alive,
        evidence=machine.console.tail,
        is_first_boot=is_first_boot,
    )


def open_session(machine: Machine, guest: Guest) -> Session:
    """Begin the SSH session that forks of a machine continue; its guest may be frozen then. Raises `MachineLost`."""
    assert machine.session_line is not None
    return begin_session(
        guest.root, SESSION_NAME, machine.session_line, _address(machine), timeout_s=guest.limits.command_s
    )


def resume_session(machine: Machine, session: Session, limits: Limits) -> SshTransport:
    """Return the connection of a fork that continues a session; raises `ForkUnproved` if the fork does not answer."""
    assert machine.session_line is not None
    try:
        return continue_session(session, machine.session_line, _address(machine), step_timeout_s=limits.connect_s)
    except (CommandTooSlow, TransportLost) as error:
        machine.require_alive()
        raise ForkUnproved(f"a fork's SSH does not continue its session: {error}") from None


def await_booted(guest: Guest) -> None:
    """Wait until a guest's services have started; a failed service is ignored."""
    guest.root("systemctl is-system-running --wait", timeout_s=guest.limits.boot_s)


def _address(machine: Machine, user: str = GUEST_USER) -> Address:
    keys = machine.keys
    assert keys is not None, "this machine's guest has no keys"
    return Address(port=machine.ssh_port, host_key=keys.public(keys.host), user_key=keys.user, user=user)


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
