# SPDX-License-Identifier: MIT
"""QEMU machine options that depend on the architecture."""

from __future__ import annotations

from dataclasses import dataclass

from vmlab.catalogue.target import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """QEMU options for one architecture's machine."""

    machine: str
    emulated_cpu: str
    """CPU model under TCG: all that it can emulate, without features that only cost time."""
    strict_cpu: str
    """Suffix of the CPU model for a strict boot: the kernel faults if it executes or accesses user memory, as on every
    processor since 2015. QEMU warns, and the guest's tests fail, if the accelerator lacks it."""
    console: str
    """Serial port's name in the kernel."""
    generation: tuple[str, ...]
    """Device that tells a kernel that it was forked."""


BOARDS = {
    Architecture.AMD64: Board(
        machine="q35,usb=off,vmport=off,graphics=off",
        # Five-level paging makes every page walk longer, and SVM makes udev load KVM at each boot.
        emulated_cpu="max,la57=off,svm=off",
        strict_cpu=",smep=on,smap=on,umip=on",
        console="ttyS0",
        generation=("-device", "vmgenid,guid=auto"),
    ),
    Architecture.ARM64: Board(
        # The newest interrupt controller that the accelerator supports: KVM may support only one kind.
        machine="virt,gic-version=max",
        # The architected pointer authentication algorithm is slow to emulate; allow QEMU's implementation-defined one.
        emulated_cpu="max,pauth-impdef=on",
        strict_cpu="",  # PXN and PAN are always on
        console="ttyAMA0",
        generation=(),  # virt has no such device: the host seeds a fork's random pool (`guest/fork_check.py`)
    ),
}
