# SPDX-License-Identifier: MIT
"""KVM's module parameters, which decide whether a guest can have a PMU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MODULES = Path("/sys/module")
VENDOR_MODULES = {"GenuineIntel": "kvm_intel", "AuthenticAMD": "kvm_amd", "HygonGenuine": "kvm_amd"}
_PARAMETERS = {
    "kvm": ("enable_pmu", "pmu"),
    "kvm_intel": ("enable_mediated_pmu", "nested"),
    "kvm_amd": ("enable_mediated_pmu", "nested", "pmu"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kvm:
    """KVM modules and parameters from /sys/module."""

    modules: tuple[str, ...] = ()
    """Modules that are loaded or built in: `kvm` and the vendor's module, or a replacement of it."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Values as the kernel writes them, by `module.parameter`; only those that affect the lab."""
    is_built_in: bool = False
    """True if KVM is built in and cannot be unloaded: sysfs has no initstate for it."""

    @property
    def enable_pmu(self) -> bool | None:
        """True if KVM gives guests a PMU; None when the kernel has no such parameter.

        `kvm.enable_pmu` since Linux 5.17 (4732f2444acd), for a time `pmu` of kvm or kvm_amd (b1d66dad65dc). KVM
        clears it if perf offers no counters or the processor is a hybrid (4d7404e5ee00).
        """
        for name in ("kvm.enable_pmu", "kvm.pmu", "kvm_amd.pmu"):
            if name in self.parameters:
                return is_on(self.parameters[name])
        return None

    @property
    def mediated_pmu(self) -> bool | None:
        """True if guests own the counters while they run; None when the kernel does not support it.

        `enable_mediated_pmu` of kvm_intel and kvm_amd since Linux 7.0 (860bcb1021f5), off by default. Without it
        KVM gets counters from the host's perf, which may reassign them at any time.
        """
        for name in ("kvm_intel.enable_mediated_pmu", "kvm_amd.enable_mediated_pmu"):
            if name in self.parameters:
                return is_on(self.parameters[name])
        return None

    @property
    def backend(self) -> str:
        """Vendor's module that runs the guests; empty when none is loaded."""
        return next((name for name in self.modules if name != "kvm"), "")


def read_kvm(modules: Path = _MODULES) -> Kvm:
    """Read KVM's modules and parameters from a few files; boots nothing."""
    names = tuple(sorted(path.name for path in modules.glob("kvm*") if path.is_dir()))
    return Kvm(
        modules=names,
        parameters=kvm_parameters(modules),
        is_built_in="kvm" in names and not (modules / "kvm" / "initstate").exists(),
    )


def kvm_parameters(modules: Path = _MODULES) -> Mapping[str, str]:
    """Read the parameters that affect a guest's processor, by `module.parameter`."""
    found = {}
    for module, names in _PARAMETERS.items():
        for name in names:
            try:
                found[f"{module}.{name}"] = (modules / module / "parameters" / name).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                continue
    return found


def is_on(value: str) -> bool:
    """True if a module's bool (or int used as one) is set, as sysfs writes it."""
    return value in ("Y", "1")


def reload_with(kvm: Kvm, vendor: str, parameter: str) -> str:
    """Command that sets `module.parameter=value` for KVM: reload its modules, or change the kernel's command line."""
    backend = kvm.backend or VENDOR_MODULES.get(vendor, "")
    if kvm.is_built_in or not backend:
        return f"boot the host's kernel with {parameter}"
    module, _, setting = parameter.partition(".")
    if module == "kvm":
        return f"sudo modprobe -r {backend} kvm && sudo modprobe kvm {setting} && sudo modprobe {backend}"
    return f"sudo modprobe -r {module} && sudo modprobe {module} {setting}"
