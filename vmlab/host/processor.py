# SPDX-License-Identifier: MIT
"""The host's processor, and a test whether this host is a virtual machine."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_DMI = Path("/sys/class/dmi/id")
_DMI_FIELDS = ("sys_vendor", "product_name")
_IMPLEMENTERS = {
    "0x41": "Arm",
    "0x43": "Cavium",
    "0x46": "Fujitsu",
    "0x48": "HiSilicon",
    "0x4e": "NVIDIA",
    "0x51": "Qualcomm",
    "0x61": "Apple",
    "0xc0": "Ampere",
}
"""Vendors of arm64 processors, by MIDR_EL1 bits 31:24, as in arch/arm64/include/asm/cputype.h."""
_VIRTUAL_VENDORS = {
    "QEMU": "QEMU",
    "Amazon EC2": "Amazon EC2",
    "Google": "Google Compute Engine",
    "Microsoft Corporation": "Hyper-V or Azure",
    "VMware, Inc.": "VMware",
    "innotek GmbH": "VirtualBox",
    "Xen": "Xen",
    "Parallels": "Parallels",
    "DigitalOcean": "DigitalOcean",
    "Hetzner": "Hetzner",
    "OpenStack Foundation": "OpenStack",
    "Apple Inc.": "Apple's Virtualization framework",
}
"""DMI vendors of virtual machines; some also make physical machines, so the product decides."""
_VIRTUAL_PRODUCTS = (
    "virtual",
    "kvm",
    "vserver",
    "droplet",
    "compute engine",
    "standard pc",
    "openstack",
    "hvm",
    "vmware",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """The first processor of /proc/cpuinfo; arm64 has no model name, so implementer and part replace it."""

    architecture: str
    """Machine name as printed by uname -m."""
    vendor: str
    model: str
    family: str = ""
    has_hypervisor_flag: bool = False
    """True if CPUID leaf 1 ECX bit 31 is set; x86 only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Environment of this host: bare metal, or a hypervisor."""

    is_virtual: bool
    evidence: str
    """Evidence for `is_virtual`, as text for people."""
    provider: str = ""
    """Provider of the virtual machine, if DMI names it."""
    seen: Mapping[str, str] = field(default_factory=dict)


def read_processor() -> Processor:
    """Read this host's processor; if /proc/cpuinfo is unreadable, only the architecture is known."""
    return processor_of(read_words(Path("/proc/cpuinfo")), platform.machine())


def processor_of(cpuinfo: str, architecture: str) -> Processor:
    """Parse the first processor from the text of /proc/cpuinfo, x86 or arm64."""
    fields: dict[str, str] = {}
    for line in cpuinfo.strip().splitlines():
        key, _, value = line.partition(":")
        if key.strip():
            fields.setdefault(key.strip(), value.strip())
    implementer = fields.get("CPU implementer", "")
    if implementer:
        vendor = _IMPLEMENTERS.get(implementer.lower(), implementer)
        numbers = [
            f"{name} {fields[f'CPU {name}']}" for name in ("part", "variant", "revision") if f"CPU {name}" in fields
        ]
        model = fields.get("model name") or " ".join((vendor, *(numbers or ("part ?",))))
        return Processor(architecture=architecture, vendor=vendor, model=model, family=fields.get("CPU part", ""))
    return Processor(
        architecture=architecture,
        vendor=fields.get("vendor_id", ""),
        model=fields.get("model name") or architecture,
        family=f"{fields['cpu family']}, model {fields.get('model', '?')}" if "cpu family" in fields else "",
        has_hypervisor_flag="hypervisor" in fields.get("flags", "").split(),
    )


def read_surroundings(processor: Processor) -> Surroundings:
    """Read this host's environment from files that any user may read."""
    dmi = {name: read_words(_DMI / name) for name in _DMI_FIELDS}
    return surroundings_of(processor, dmi, read_words(Path("/sys/hypervisor/type")))


def surroundings_of(processor: Processor, dmi: Mapping[str, str], hypervisor: str) -> Surroundings:
    """Decide if a host is virtual, from the processor's flag if there is one, else /sys/hypervisor, else DMI.

    arm64 has no flag. Amazon's bare metal has the DMI vendor of its virtual machines, so the product decides.
    """
    vendor, product = dmi.get("sys_vendor", ""), dmi.get("product_name", "")
    named = " ".join(word for word in (vendor, product) if word)
    seen = {"flag": str(processor.has_hypervisor_flag).lower(), "dmi": named, "sys_hypervisor": hypervisor}
    provider = _VIRTUAL_VENDORS.get(vendor, "")
    also = f"; DMI: {named}" if named else ""
    if processor.has_hypervisor_flag:
        evidence = f"the processor has the hypervisor flag{also}"
        return Surroundings(is_virtual=True, evidence=evidence, provider=provider, seen=seen)
    if hypervisor:
        evidence = f"/sys/hypervisor/type is {hypervisor}{also}"
        return Surroundings(is_virtual=True, evidence=evidence, provider=provider or hypervisor, seen=seen)
    if processor.architecture == "x86_64":
        evidence = f"the processor has no hypervisor flag{also}"
        return Surroundings(is_virtual=False, evidence=evidence, seen=seen)
    is_virtual = _is_virtual_product(vendor, product)
    evidence = f"DMI: {named}" if named else "no processor flag and no DMI data"
    return Surroundings(is_virtual=is_virtual, evidence=evidence, provider=provider if is_virtual else "", seen=seen)


def _is_virtual_product(vendor: str, product: str) -> bool:
    if vendor == "Amazon EC2":
        return not product.endswith(".metal")
    return vendor == "QEMU" or any(word in product.lower() for word in _VIRTUAL_PRODUCTS)


def read_words(path: Path) -> str:
    """Read a small kernel file, without surrounding white space; empty when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
