# SPDX-License-Identifier: MIT
"""What this host lets time be measured with, as `vmlab doctor` tells it: each fact, and what to type to improve it."""

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
    "Hyper-V or Azure": 'Hyper-V: Set-VMProcessor NAME -Perfmon @("pmu"); none was seen on Azure so far',
    "VMware": 'VMware: vpmc.enable = "TRUE" in the .vmx file',
    "QEMU": "on the host beneath: -cpu host, kvm.enable_pmu=1, and no <pmu state='off'/> in libvirt",
}
"""What the owner of the hypervisor sets so that this host gets a PMU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingHost:
    """All that the facts are made of; tests make their own."""

    processor: Processor
    surroundings: Surroundings
    kvm: Kvm
    pmu: HostPmu


def read_timing_host() -> TimingHost:
    """Read this host; starts nothing."""
    processor = read_processor()
    return TimingHost(
        processor=processor,
        surroundings=read_surroundings(processor),
        kvm=read_kvm(),
        pmu=read_host_pmu(),
    )


def timing_facts(host: TimingHost) -> list[Fact]:
    """What decides the timing source. None of it makes a host unusable. Pure."""
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
        finding = f"absent: the kernel's event sources are {sources}, and none is the processor's"
        return Fact(
            topic="PMU", grade=Grade.NOTE, finding=finding, advice="; ".join(filter(None, words)), seen=pmu.seen
        )
    return Fact(topic="PMU", grade=Grade.GOOD, finding=f"there; the kernel's event sources: {sources}", seen=pmu.seen)


def _paranoid(host: TimingHost) -> Fact:
    """The setting binds this process, and no guest: KVM's counters are the kernel's own
    (perf_event_create_kernel_counter), which asks nobody."""
    level = host.pmu.paranoid
    if level is None:
        finding = "there is no /proc/sys/kernel/perf_event_paranoid: the kernel has no perf"
        return Fact(topic="perf_event_paranoid", grade=Grade.NOTE, finding=finding, seen={"value": ""})
    is_bound = host.pmu.is_bound_by_paranoid
    who = "this process too" if is_bound else "not this process"
    return Fact(
        topic="perf_event_paranoid",
        grade=Grade.NOTE if is_bound else Grade.GOOD,
        finding=f"{level} forbids ordinary processes {paranoid_forbids(level)}; {who}; a guest's PMU does not ask it",
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
        # KVM clears it by itself then, and setting it again would change nothing.
        finding = f"off{backend}: no guest gets a PMU, and the host has none to give"
        return Fact(topic="kvm.enable_pmu", grade=Grade.NOTE, finding=finding, seen=seen)
    if host.pmu.is_hybrid:
        finding = f"off{backend}: KVM gives no PMU on hybrid processors (Linux 4d7404e5ee00)"
        return Fact(topic="kvm.enable_pmu", grade=Grade.NOTE, finding=finding, advice=ICOUNT_ADVICE, seen=seen)
    return Fact(
        topic="kvm.enable_pmu",
        grade=Grade.NOTE,
        finding=f"off{backend}: no guest gets a PMU, whatever it asks for",
        advice=reload_with(kvm, host.processor.vendor, "kvm.enable_pmu=1"),
        seen=seen,
    )


def kvm_advice(host: TimingHost) -> str:
    """What to type where there is no /dev/kvm; empty where nothing is known to help. Pure."""
    if host.kvm.modules and host.pmu.container:
        return "start the container with --device /dev/kvm"
    module = VENDOR_MODULES.get(host.processor.vendor, "")
    if not module:
        return ""
    switch = "nested virtualisation on" if host.surroundings.is_virtual else "VT-x or SVM on in the firmware"
    return f"sudo modprobe {module}; it takes {switch}"


def _mediated(host: TimingHost) -> Fact | None:
    """Only where the kernel knows it."""
    is_mediated = host.kvm.mediated_pmu
    if is_mediated is None:
        return None
    seen = {name: value for name, value in host.kvm.parameters.items() if name.endswith("mediated_pmu")}
    if is_mediated:
        finding = "on: guests own the counters while they run; perf on the host cannot count guests"
        return Fact(topic="mediated PMU", grade=Grade.GOOD, finding=finding, seen=seen)
    (name,) = seen
    return Fact(
        topic="mediated PMU",
        grade=Grade.GOOD,
        finding="off: KVM takes a guest's counters from the host's perf, which may take them back in between",
        advice="" if host.pmu.is_absent else reload_with(host.kvm, host.processor.vendor, f"{name}=1"),
        seen=seen,
    )
