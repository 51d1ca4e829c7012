# SPDX-License-Identifier: MIT
"""The doctor's facts on timing: none makes a host unusable, and each advises a command that helps."""

from __future__ import annotations

from typing import Any

import pytest

from vmlab.doctor.pmu import HostPmu, read_host_pmu
from vmlab.doctor.timing_facts import TimingHost, kvm_advice, timing_facts
from vmlab.host.facts import Fact, Grade, is_usable
from vmlab.host.kvm import Kvm
from vmlab.host.processor import Processor, Surroundings

_INTEL = Processor(architecture="x86_64", vendor="GenuineIntel", model="Xeon", family="6, model 106")
_METAL = Surroundings(is_virtual=False, evidence="the processor has no hypervisor flag")
_KVM = Kvm(modules=("kvm", "kvm_intel"), parameters={"kvm.enable_pmu": "Y"})


def _facts(
    *,
    processor: Processor = _INTEL,
    surroundings: Surroundings = _METAL,
    kvm: Kvm = _KVM,
    sources: tuple[str, ...] = ("cpu", "software"),
    paranoid: int | None = 1,
    **seen: Any,
) -> dict[str, Fact]:
    pmu = HostPmu(event_sources=sources, paranoid=paranoid, **seen)
    host = TimingHost(processor=processor, surroundings=surroundings, kvm=kvm, pmu=pmu)
    facts = timing_facts(host)
    assert is_usable(facts), "no fact on timing may stop the lab"
    return {fact.topic: fact for fact in facts}


def _cloud(provider: str) -> Surroundings:
    return Surroundings(is_virtual=True, evidence="the processor has the hypervisor flag", provider=provider)


def test_bare_metal_with_a_pmu_needs_no_advice() -> None:
    facts = _facts()
    assert list(facts) == ["virtualisation", "PMU", "perf_event_paranoid", "kvm.enable_pmu"]
    assert {fact.grade for fact in facts.values()} == {Grade.GOOD}
    assert not any(fact.advice for fact in facts.values())
    assert "pmu=on for a guest changes nothing" in facts["kvm.enable_pmu"].finding


def test_a_virtual_machine_with_kvm_and_no_pmu_is_told_what_counts_instead() -> None:
    facts = _facts(
        surroundings=_cloud("Hyper-V or Azure"),
        kvm=Kvm(modules=("kvm", "kvm_intel"), parameters={"kvm.enable_pmu": "N"}),
        sources=("msr", "software", "uprobe"),
    )
    assert facts["virtualisation"].grade is Grade.NOTE
    assert "a virtual machine of Hyper-V or Azure, its guests are nested" in facts["virtualisation"].finding
    assert facts["PMU"].grade is Grade.NOTE
    assert facts["PMU"].finding.startswith(
        "absent: none of the kernel's event sources is the processor's: msr software uprobe"
    )
    assert "no PMU was seen on Azure so far; --vmlab-timing icount" in facts["PMU"].advice
    # KVM itself cleared the switch: setting it again has no effect.
    assert facts["kvm.enable_pmu"].advice == ""
    assert "since the host has none" in facts["kvm.enable_pmu"].finding


@pytest.mark.parametrize(
    ("provider", "word"),
    [
        ("Google Compute Engine", "--performance-monitoring-unit=standard"),
        ("VMware", "vpmc.enable"),
        ("QEMU", "-cpu host"),
    ],
)
def test_a_virtual_host_without_a_pmu_is_told_who_can_give_one(provider: str, word: str) -> None:
    assert word in _facts(surroundings=_cloud(provider), sources=("software",))["PMU"].advice


def test_a_kvm_switched_off_is_loaded_anew() -> None:
    fact = _facts(kvm=Kvm(modules=("kvm", "kvm_intel"), parameters={"kvm.enable_pmu": "N"}))["kvm.enable_pmu"]
    assert fact.grade is Grade.NOTE
    assert fact.finding == "off (KVM by kvm_intel): no guest gets a PMU, not even with pmu=on"
    assert fact.advice.startswith("sudo modprobe -r kvm_intel kvm && sudo modprobe kvm enable_pmu=1")


def test_a_hybrid_processor_is_not_told_to_load_kvm_anew() -> None:
    kvm = Kvm(modules=("kvm", "kvm_intel"), parameters={"kvm.enable_pmu": "N"})
    fact = _facts(kvm=kvm, sources=("cpu_atom", "cpu_core"))["kvm.enable_pmu"]
    assert "hybrid" in fact.finding
    assert "modprobe" not in fact.advice


def test_a_kernel_without_the_switch_gives_what_the_host_has() -> None:
    fact = _facts(kvm=Kvm(modules=("kvm", "kvm_intel")))["kvm.enable_pmu"]
    assert (fact.grade, fact.finding.split(":")[0]) == (Grade.GOOD, "no such parameter (KVM by kvm_intel)")


@pytest.mark.parametrize(
    ("surroundings", "switch"), [(_METAL, "VT-x or SVM on in the firmware"), (_cloud(""), "nested virtualisation on")]
)
def test_a_kvm_that_is_not_loaded_is_loaded(surroundings: Surroundings, switch: str) -> None:
    fact = _facts(kvm=Kvm(), surroundings=surroundings)["kvm.enable_pmu"]
    assert (fact.finding, fact.advice) == ("KVM is not loaded", f"sudo modprobe kvm_intel; it needs {switch}")


@pytest.mark.parametrize(("value", "word"), [("Y", "on: guests own the counters"), ("N", "off: a guest's counters")])
def test_the_mediated_pmu_is_told_where_the_kernel_has_it(value: str, word: str) -> None:
    parameters = {"kvm.enable_pmu": "Y", "kvm_intel.enable_mediated_pmu": value}
    fact = _facts(kvm=Kvm(modules=("kvm", "kvm_intel"), parameters=parameters))["mediated PMU"]
    assert fact.finding.startswith(word)
    assert ("enable_mediated_pmu=1" in fact.advice) is (value == "N")
    assert fact.seen == {"kvm_intel.enable_mediated_pmu": value}


def test_whoever_is_bound_by_paranoid_is_told_that_guests_are_not() -> None:
    fact = _facts(paranoid=3)["perf_event_paranoid"]
    assert (fact.grade, fact.advice) == (Grade.NOTE, "sudo sysctl kernel.perf_event_paranoid=1")
    assert "forbids unprivileged processes any counting" in fact.finding
    assert "it never applies to guests" in fact.finding


@pytest.mark.parametrize(("level", "has_perfmon", "is_bound"), [(1, False, False), (2, False, True), (2, True, False)])
def test_a_process_is_bound_as_its_capabilities_say(level: int, has_perfmon: bool, is_bound: bool) -> None:
    assert HostPmu(paranoid=level, has_perfmon=has_perfmon).is_bound_by_paranoid is is_bound


def test_this_hosts_counters_are_read() -> None:
    seen = read_host_pmu()
    assert seen.seen["event_sources"].split() == list(seen.event_sources)
    assert "software" in seen.event_sources or not seen.event_sources


def test_root_is_not_bound_by_paranoid() -> None:
    fact = _facts(paranoid=4, has_sys_admin=True)["perf_event_paranoid"]
    assert (fact.grade, fact.advice) == (Grade.GOOD, "")
    assert "this process is not restricted" in fact.finding


def test_a_kernel_without_perf_has_no_paranoid() -> None:
    assert _facts(paranoid=None)["perf_event_paranoid"].grade is Grade.NOTE


def test_an_arm64_host_is_told_the_same_facts() -> None:
    arm = Processor(architecture="aarch64", vendor="Arm", model="Arm part 0xd0c", family="0xd0c")
    facts = _facts(processor=arm, kvm=Kvm(), sources=("armv8_pmuv3_0",))
    assert facts["PMU"].grade is Grade.GOOD
    assert facts["kvm.enable_pmu"].finding == "KVM is not loaded"


def test_a_container_without_the_device_is_told_to_take_it_along() -> None:
    host = TimingHost(processor=_INTEL, surroundings=_METAL, kvm=_KVM, pmu=HostPmu(container="docker"))
    assert kvm_advice(host) == "start the container with --device /dev/kvm"
