# SPDX-License-Identifier: MIT
"""Every time limit of the lab, scaled by how fast guests run here."""

from __future__ import annotations

from dataclasses import dataclass

from vmlab.host.accelerator import Accelerator

_TCG_FACTOR = 8.0
"""How much longer an emulated guest may take: a generous guess. Boots under TCG on two cores took 22 to 105 s, the
longer ones on a busy host; nothing was measured under KVM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Time limits in seconds for guests on one accelerator."""

    boot_s: float
    connect_s: float
    command_s: float
    build_s: float
    load_s: float
    probe_s: float
    """How long a hung guest has for each answer."""
    first_boot_s: float
    """How long a cloud image's first boot may take, and its cloud-init."""
    install_s: float
    """How long a package manager in a guest has for each thing that it is asked."""
    monitor_s: float
    """The time for an answer of QEMU's monitor; what moves a guest's memory has a multiple of it."""
    dying_s: float
    """The time that a guest that stopped answering has for its first word on the console."""
    room_s: float
    """How long a machine waits for others to give their memory back."""


def limits_for(accelerator: Accelerator, *, patience: float = 1.0) -> Limits:
    """The limits for an accelerator, each multiplied by the user's patience."""
    factor = patience * (_TCG_FACTOR if accelerator is Accelerator.TCG else 1.0)
    return Limits(
        boot_s=60 * factor,
        connect_s=10 * factor,
        command_s=30 * factor,
        build_s=120 * factor,
        load_s=30 * factor,
        probe_s=2 * factor,
        first_boot_s=180 * factor,
        install_s=300 * factor,
        monitor_s=30 * factor,
        dying_s=0.3 * factor,
        room_s=300 * patience,
    )
