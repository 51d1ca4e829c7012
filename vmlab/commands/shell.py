# SPDX-License-Identifier: MIT
"""A person's way into a guest: `vmlab shell`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from vmlab.errors import HostError, MachineLost, UsageError, nearest
from vmlab.guest.ssh import Address, connect
from vmlab.image.sealed import cached_image
from vmlab.lab.freezer import Stage
from vmlab.lab.lab import Lab
from vmlab.machine.console import Console
from vmlab.machine.registry import kept_machines

_CONNECT_S = 60.0


def into_target(lab: Lab, name: str, command: str, *, is_loaded: bool, is_booted: bool) -> int:
    """A shell, or one command, in a guest of its own of a target; returns its exit status.

    Costs a fork, and a boot the first time, or always when it `is_booted`; with `is_loaded` the module's build.
    """
    targets = lab.matrix.select(name)
    if len(targets) != 1:
        raise UsageError(f"{name!r} names {len(targets)} targets", hint="a shell takes one")
    if is_loaded:
        _ = lab.source  # a wrong directory is told before an image is made
    testbed = lab.testbed(targets[0])
    stage = Stage.LOADED if is_loaded else Stage.READY
    with testbed.booted(stage) if is_booted else testbed.fork(stage) as running:
        print(file=sys.stderr)
        return running.open_shell(command)


def into_kept(lab: Lab, name: str, command: str) -> int:
    """A shell, or one command, in the guest that a failing test left running; returns its exit status."""
    kept = {record.name: record for record in kept_machines()}
    record = kept.get(name)
    if record is None:
        raise UsageError(f"no guest is kept by the name {name!r}", hint=nearest(name, kept))
    (target,) = lab.matrix.select(record.target)
    image = cached_image(target, lab.store)
    if image is None:
        raise HostError(f"the keys of {record.target} are not in this store", hint="name its store with --vmlab-store")
    console = Console(Path(record.console))

    def require_alive() -> None:
        if not record.qemu.is_alive():
            raise MachineLost(f"{name} has ended", detail=console.tail())
        panic = console.panic()
        if panic:
            raise MachineLost(f"{name} cannot be entered: its kernel panicked: {panic}", detail=console.tail())

    transport = connect(
        Address(port=record.ssh_port, host_key=image.host_key, user_key=image.user_key),
        timeout_s=_CONNECT_S * lab.settings.patience,
        step_timeout_s=_CONNECT_S * lab.settings.patience,
        require_alive=require_alive,
        evidence=console.tail,
    )
    with contextlib.closing(transport):
        return transport.interact(command)
