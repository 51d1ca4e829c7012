# SPDX-License-Identifier: MIT
"""What a publisher's disk takes to be booted by its own boot loader: firmware, an accelerator, room to write."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from vmlab.catalogue.cloud_image import Firmware
from vmlab.catalogue.target import Architecture
from vmlab.context import Context
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.firmware import UefiFiles, find_uefi
from vmlab.machine.accelerators import Accelerators
from vmlab.machine.argv import MachineSpec, firmware_spec, proof_argv
from vmlab.settings import Settings

LEAST_DISK_BYTES = 12 * 2**30
"""Publishers' disks have room for little more than themselves; cloud-init grows the root file system into this."""
_LEAST_MEMORY_MIB = 2048
"""A guess with room in it: package managers that read their whole index want more than a guest under test does."""
_PROOF_TIMEOUT_S = 45.0
"""For firmware, a boot loader with its menu's time, and a kernel's first line, under KVM: a guess."""


def own_uefi(architecture: Architecture, firmware: Firmware, directory: Path) -> UefiFiles | None:
    """Firmware with variables of its own in `directory`; None for BIOS. `HostError` when this host has none."""
    if firmware is Firmware.BIOS:
        return None
    found = find_uefi(architecture)
    variables = directory / "variables.fd"
    shutil.copyfile(found.variables, variables)
    return UefiFiles(code=found.code, variables=variables)


def provisioning_spec(
    settings: Settings, architecture: Architecture, verdict: Verdict, uefi: UefiFiles | None
) -> MachineSpec:
    """The machine that a publisher's disk is provisioned in."""
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
    """KVM or TCG: proved with a kernel of the lab's own where the store has one, else with the publisher's disk.

    The latter starts QEMU once per host boot and disk, and takes as long as the boot loader's menu waits.
    """
    known = accelerators.proof_image(architecture)
    if known is not None:
        return accelerators.verdict(known)
    settings = context.settings
    with tempfile.TemporaryDirectory(prefix="vmlab-firmware-") as directory:
        uefi = own_uefi(architecture, firmware, Path(directory))
        spec = firmware_spec(
            architecture, Accelerator.KVM, cpus=settings.cpus, memory_mib=settings.memory_mib, uefi=uefi
        )
        return accelerators.choose(
            architecture,
            kvm_argv=lambda model, console: proof_argv(spec, cpu_model=model, console=console, disk=disk),
            timeout_s=_PROOF_TIMEOUT_S,
        )
