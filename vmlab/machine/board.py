# SPDX-License-Identifier: MIT
"""What differs between the machines of two architectures."""

from __future__ import annotations

from dataclasses import dataclass

from vmlab.catalogue.target import Architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """QEMU's words for one architecture's machine."""

    machine: str
    emulated_cpu: str
    """All that TCG can emulate, less what only costs time in a guest."""
    strict_cpu: str
    """Behind the processor's name for a strict boot: executing, or reaching into, user memory from the kernel faults,
    as it does on every processor since 2015. QEMU warns, and the guest's tests find out, when an accelerator has not
    got it."""
    console: str
    """The kernel's name for the serial port."""
    generation: tuple[str, ...]
    """The device that tells a kernel that it was forked."""


BOARDS = {
    Architecture.AMD64: Board(
        machine="q35,usb=off,vmport=off,graphics=off",
        # Five-level paging makes every page walk longer, and a processor with SVM makes udev load KVM at each boot.
        emulated_cpu="max,la57=off,svm=off",
        strict_cpu=",smep=on,smap=on,umip=on",
        console="ttyS0",
        generation=("-device", "vmgenid,guid=auto"),
    ),
    Architecture.ARM64: Board(
        # The newest interrupt controller that the accelerator has: KVM may have one kind only.
        machine="virt,gic-version=max",
        # Signing a pointer by the architecture's own algorithm is slow to emulate: QEMU may use one of its own.
        emulated_cpu="max,pauth-impdef=on",
        strict_cpu="",  # PXN and PAN are always on
        console="ttyAMA0",
        generation=(),  # virt has none: a fork's random pool is fed from the host (`guest/fork_proof.py`)
    ),
}
