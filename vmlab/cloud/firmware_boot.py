# SPDX-License-Identifier: MIT
"""Boot of a publisher's disk by its own boot loader: firmware, accelerator, disk size."""

from __future__ import annotations

import shutil
from pathlib import Path

from vmlab.catalogue.cloud_image import Firmware
from vmlab.catalogue.target import Architecture
from vmlab.context import Context
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.firmware import UefiFiles, find_uefi
from vmlab.machine.accelerators import Accelerators
from vmlab.machine.argv import MachineSpec, firmware_spec, proof_argv
from vmlab.settings import Settings
from vmlab.system.scratch import ScratchDirectory

LEAST_DISK_BYTES = 12 * 2**30
"""Disk size to which cloud-init grows the root file system; publishers' disks have little free space."""
_LEAST_MEMORY_MIB = 2048
"""A generous guess: package managers that read their whole index need more than a guest under test."""
_PROOF_TIMEOUT_S = 45.0
"""A guess for firmware, the boot loader's menu and the kernel's first line, under KVM."""


def own_uefi(architecture: Architecture, firmware: Firmware, directory: Path) -> UefiFiles | None:
    """Return UEFI firmware with a copy of its variables in `directory`; None for BIOS. Raises `HostError`."""
    if firmware is Firmware.BIOS:
        return None
    found = find_uefi(architecture)
    variables = directory / "variables.fd"
    shutil.copyfile(found.variables, variables)
    return UefiFiles(code=found.code, variables=variables)


def provisioning_spec(
    settings: Settings, architecture: Architecture, verdict: Verdict, uefi: UefiFiles | None
) -> MachineSpec:
    """Return the machine that provisions a publisher's disk."""
    return firmware_spec(
        architecture,
        verdict.accelerator,
        cpus=settings.cpus,
        memory_mib=max(settings.memory_mib, _LEAST_MEMORY_MIB),
        uefi=uefi,
        cpu_model=verdict.cpu_model,
    )


def choose_by_disk(
    context: Context, accelerators: Accelerators, architecture: Architecture, firmware: Firmware, disk: Path
) -> Verdict:
    """Choose KVM or TCG, proved with a kernel from the store if it has one, else with the publisher's disk.

    The latter starts QEMU once per host boot and disk, and takes as long as the boot loader's menu waits.
    """
    known = accelerators.proof_image(architecture)
    if known is not None:
        return accelerators.verdict(known)
    settings = context.settings
    with ScratchDirectory(needed_mib=64, what="UEFI variables") as directory:
        uefi = own_uefi(architecture, firmware, directory)
        spec = firmware_spec(
            architecture, Accelerator.KVM, cpus=settings.cpus, memory_mib=settings.memory_mib, uefi=uefi
        )
        return accelerators.choose(
            architecture,
            kvm_argv=lambda model, console, names: proof_argv(
                spec, cpu_model=model, console=console, names=names, disk=disk
            ),
            timeout_s=_PROOF_TIMEOUT_S,
        )
