# SPDX-License-Identifier: MIT
"""Timeouts of the lab, scaled by the speed of guests on this host."""

from __future__ import annotations

from dataclasses import dataclass

from vmlab.host.accelerator import Accelerator

_TCG_FACTOR = 8.0
"""Factor for emulated guests: a generous guess. Boots under TCG on two cores took 11 to 105 s, the longer ones on a
busy host; nothing was measured under KVM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Timeouts in seconds for guests on one accelerator."""

    boot_s: float
    connect_s: float
    command_s: float
    build_s: float
    load_s: float
    probe_s: float
    """Timeout for each answer of a hung guest."""
    first_boot_s: float
    """Timeout for a cloud image's first boot, and for its cloud-init."""
    install_s: float
    """Timeout for each command of a package manager in a guest."""
    monitor_s: float
    """Timeout for an answer of QEMU's monitor; commands that move a guest's memory get a multiple of it."""
    dying_s: float
    """Timeout for the first console output of a guest that stopped answering."""
    room_s: float
    """Timeout for other machines to free their memory."""


def limits_for(accelerator: Accelerator, *, patience: float = 1.0) -> Limits:
    """Timeouts for an accelerator, each multiplied by the user's `patience` setting."""
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
