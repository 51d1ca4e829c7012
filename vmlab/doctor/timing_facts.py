# SPDX-License-Identifier: MIT
"""The facts of `vmlab doctor` about timing on this host, each with the command that improves it."""

from __future__ import annotations

from dataclasses import dataclass

from vmlab.doctor.pmu import PARANOID_ADVICE, HostPmu, paranoid_forbids, read_host_pmu
from vmlab.host.facts import Fact, Grade
from vmlab.host.kvm import VENDOR_MODULES, Kvm, read_kvm, reload_with
from vmlab.host.processor import Processor, Surroundings, read_processor, read_surroundings

ICOUNT_ADVICE = "--vmlab-timing icount counts instructions exactly without a PMU"
_PROVIDER_ADVICE = {
    "Google Compute Engine": "gcloud: a machine type with --performance-monitoring-unit=standard",
    "Amazon EC2": "Amazon EC2: a .metal instance type, or one of a whole socket",
    "Hyper-V or Azure": 'Hyper-V: Set-VMProcessor NAME -Perfmon @("pmu"); no PMU was seen on Azure so far',
    "VMware": 'VMware: vpmc.enable = "TRUE" in the .vmx file',
    "QEMU": "on the host below: -cpu host, kvm.enable_pmu=1, and no <pmu state='off'/> in libvirt",
}
"""Setting by which the owner of the hypervisor gives this host a PMU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingHost:
    """Input for the facts; tests make their own."""

    processor: Processor
    surroundings: Surroundings
    kvm: Kvm
    pmu: HostPmu


def read_timing_host() -> TimingHost:
    """Read this host's properties; starts no process."""
    processor = read_processor()
    return TimingHost(
        processor=processor,
        surroundings=read_surroundings(processor),
        kvm=read_kvm(),
        pmu=read_host_pmu(),
    )


def timing_facts(host: TimingHost) -> list[Fact]:
    """Return the facts that decide the timing source. None of them makes a host unusable. Pure."""
    facts = [_virtualisation(host), _pmu(host), _paranoid(host), _enable_pmu(host), _mediated(host)]
    return [fact for fact in facts if fact is not None]


def _virtualisation(host: TimingHost) -> Fact:
    around = host.surroundings
    if not around.is_virtual:
        return Fact(topic="virtualisation", grade=Grade.GOOD, finding=f"none: {around.evidence}", seen=around.seen)
    where = f" of {around.provider}" if around.provider else ""
    return Fact(
        topic="virtualisation",
        grade=Grade.NOTE,
        finding=f"this host is a virtual machine{where}, its guests are nested: {around.evidence}",
        seen=around.seen,
    )


def _pmu(host: TimingHost) -> Fact:
    pmu, sources = host.pmu, " ".join(host.pmu.event_sources) or "none"
    if pmu.is_absent:
        words = (_PROVIDER_ADVICE.get(host.surroundings.provider, ""), ICOUNT_ADVICE)
        finding = f"absent: none of the kernel's event sources is the processor's: {sources}"
        return Fact(
            topic="PMU", grade=Grade.NOTE, finding=finding, advice="; ".join(filter(None, words)), seen=pmu.seen
        )
    return Fact(topic="PMU", grade=Grade.GOOD, finding=f"present; the kernel's event sources: {sources}", seen=pmu.seen)


def _paranoid(host: TimingHost) -> Fact:
    """Return the fact about perf_event_paranoid. It restricts this process but no guest: KVM creates its counters in
    the kernel (perf_event_create_kernel_counter), without a permission check."""
    level = host.pmu.paranoid
    if level is None:
        finding = "/proc/sys/kernel/perf_event_paranoid is missing: the kernel has no perf"
        return Fact(topic="perf_event_paranoid", grade=Grade.NOTE, finding=finding, seen={"value": ""})
    is_bound = host.pmu.is_bound_by_paranoid
    who = "this process is restricted" if is_bound else "this process is not restricted"
    return Fact(
        topic="perf_event_paranoid",
        grade=Grade.NOTE if is_bound else Grade.GOOD,
        finding=f"{level} forbids unprivileged processes {paranoid_forbids(level)}; {who}; it never applies to guests",
        advice=PARANOID_ADVICE if is_bound else "",
        seen={"value": str(level), "binds": str(is_bound).lower()},
    )


def _enable_pmu(host: TimingHost) -> Fact:
    kvm = host.kvm
    seen = {"modules": " ".join(kvm.modules), **kvm.parameters}
    if not kvm.modules:
        finding = "KVM is not loaded"
        return Fact(topic="kvm.enable_pmu", grade=Grade.NOTE, finding=finding, advice=kvm_advice(host), seen=seen)
    backend = f" (KVM by {kvm.backend})" if kvm.backend else ""
    if kvm.enable_pmu is None:
        finding = f"no such parameter{backend}: this kernel's KVM gives guests a PMU whenever the host has one"
        return Fact(topic="kvm.enable_pmu", grade=Grade.GOOD, finding=finding, seen=seen)
    if kvm.enable_pmu:
        finding = f"on{backend}: guests get a PMU if the host has one; pmu=on for a guest changes nothing"
        return Fact(topic="kvm.enable_pmu", grade=Grade.GOOD, finding=finding, seen=seen)
    if host.pmu.is_absent:
        # KVM clears the parameter in this case; setting it has no effect.
        finding = f"off{backend}: no guest gets a PMU, since the host has none"
        return Fact(topic="kvm.enable_pmu", grade=Grade.NOTE, finding=finding, seen=seen)
    if host.pmu.is_hybrid:
        finding = f"off{backend}: KVM gives no PMU on hybrid processors (Linux 4d7404e5ee00)"
        return Fact(topic="kvm.enable_pmu", grade=Grade.NOTE, finding=finding, advice=ICOUNT_ADVICE, seen=seen)
    return Fact(
        topic="kvm.enable_pmu",
        grade=Grade.NOTE,
        finding=f"off{backend}: no guest gets a PMU, not even with pmu=on",
        advice=reload_with(kvm, host.processor.vendor, "kvm.enable_pmu=1"),
        seen=seen,
    )


def kvm_advice(host: TimingHost) -> str:
    """Return the command to type if /dev/kvm is missing; empty if no remedy is known. Pure."""
    if host.kvm.modules and host.pmu.container:
        return "start the container with --device /dev/kvm"
    module = VENDOR_MODULES.get(host.processor.vendor, "")
    if not module:
        return ""
    switch = "nested virtualisation on" if host.surroundings.is_virtual else "VT-x or SVM on in the firmware"
    return f"sudo modprobe {module}; it needs {switch}"


def _mediated(host: TimingHost) -> Fact | None:
    """Return the fact about the mediated PMU; None if the kernel does not have it."""
    is_mediated = host.kvm.mediated_pmu
    if is_mediated is None:
        return None
    seen = {name: value for name, value in host.kvm.parameters.items() if name.endswith("mediated_pmu")}
    if is_mediated:
        finding = "on: guests own the counters while they run; the host's perf cannot count guests"
        return Fact(topic="mediated PMU", grade=Grade.GOOD, finding=finding, seen=seen)
    (name,) = seen
    return Fact(
        topic="mediated PMU",
        grade=Grade.GOOD,
        finding="off: a guest's counters are events of the host's perf, which may take the counters away",
        advice="" if host.pmu.is_absent else reload_with(host.kvm, host.processor.vendor, f"{name}=1"),
        seen=seen,
    )
