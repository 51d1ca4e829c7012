# SPDX-License-Identifier: MIT
"""Known facts about hosts that are virtual machines, each with its source. Pure.

The facts only suggest what to try and what to report: KVM must still be proved by a boot.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_REFUSED = re.compile(r"failed to set MSR 0x([0-9a-f]{1,8})\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRegisters:
    """Registers that some hosts do not let QEMU set, and the CPU option with which QEMU does not write them."""

    first: int
    last: int
    option: str
    source: str


REFUSED_REGISTERS: tuple[RefusedRegisters, ...] = (
    RefusedRegisters(
        first=0x10A,  # IA32_ARCH_CAPABILITIES
        last=0x10A,
        option="arch-capabilities=off",
        source="seen on GitHub's hosted runners since 2026-02: asterinas/asterinas#2980; kvm_init_msrs() in QEMU's "
        "target/i386/kvm/kvm.c writes the feature word, which is 0 without the feature",
    ),
    RefusedRegisters(
        first=0x480,  # IA32_VMX_BASIC to IA32_VMX_VMFUNC
        last=0x491,
        option="vmx=off",
        source="seen as 0x48d, 0x48e and 0x48f: quickemu-project/quickemu#594, kata-containers/kata-containers#1326, "
        "minishift/minishift#3210; kvm_init_msrs() writes them where cpu_has_vmx()",
    ),
    RefusedRegisters(
        first=0x345,  # IA32_PERF_CAPABILITIES
        last=0x345,
        option="pmu=off",
        source="seen in LabNConsulting/munet#38; kvm_init_msrs() writes it where the CPU's PMU is enabled",
    ),
    RefusedRegisters(
        first=0x38D,  # IA32_FIXED_CTR_CTRL to IA32_PERF_GLOBAL_OVF_CTRL
        last=0x390,
        option="pmu=off",
        source="seen in clalancette/oz#259; kvm_put_msrs() writes them where the CPU has a PMU",
    ),
)
"""Registers with a known CPU option. 0xe1, IA32_UMWAIT_CONTROL (GNS3/gns3-server#1774), has none. QEMU writes it for
each model if KVM lists it; KVM listed it on processors without it until Linux 5.7 (f4cfcd2d5aea)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownHost:
    """A kind of nested host, and a published observation about it."""

    name: str
    fact: str
    """Observation with its date, in the past tense: the provider may change it, and no code depends on it."""
    source: str


GITHUB_X64 = KnownHost(
    name="a GitHub-hosted x64 runner",
    fact="had KVM, accessible after a udev rule, and no PMU in July 2026",
    source="actions/runner-images#183 (KVM), leanprover/lean-kernel-arena#104 (no PMU, seen on 2026-07-31)",
)
GITHUB_ARM64 = KnownHost(
    name="a GitHub-hosted arm64 runner",
    fact="had KVM on ubuntu-24.04-arm in August 2026, and no /dev/kvm on ubuntu-26.04-arm",
    source="actions/runner-images#14549 (both images); none had KVM before: actions/partner-runner-images#147",
)


def known_host(environment: Mapping[str, str]) -> KnownHost | None:
    """Identify the kind of nested host from the environment variables that GitHub's runners set; None if unknown.

    RUNNER_ENVIRONMENT and RUNNER_ARCH: docs.github.com, "Variables reference".
    """
    if environment.get("RUNNER_ENVIRONMENT") != "github-hosted":
        return None
    return {"X64": GITHUB_X64, "ARM64": GITHUB_ARM64}.get(environment.get("RUNNER_ARCH", ""))


def known_words(environment: Mapping[str, str]) -> str:
    """Known fact about this kind of host, as a suffix for a reason; empty when there is none."""
    host = known_host(environment)
    return f"; others report: {host.name} {host.fact}" if host is not None else ""


def without_refused(model: str, complaint: str) -> str:
    """Remove the feature that QEMU's message says the host refused from a CPU model; empty if no option is known.

    Only `host` includes such features: in a named model they are already off.
    """
    match = _REFUSED.search(complaint)
    name, *options = model.split(",")
    if match is None or name != "host":
        return ""
    option = _option_against(int(match[1], 16))
    return ",".join((name, *sorted({*options, option}))) if option and option not in options else ""


def options_known() -> Sequence[str]:
    """CPU options that can follow a refused register."""
    return sorted({row.option for row in REFUSED_REGISTERS})


def _option_against(register: int) -> str:
    return next((row.option for row in REFUSED_REGISTERS if row.first <= register <= row.last), "")
