# SPDX-License-Identifier: MIT
"""The doctor's report on the accelerator: the guests' CPU model, and every step that led to it."""

from __future__ import annotations

import pytest

from vmlab.doctor.doctor import accelerator_facts, build_fact, stale_code_facts
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.facts import Grade, is_usable

_STEP = "-cpu host: QEMU ended with status -6: qemu-system-x86_64: error: failed to set MSR 0x38d to 0x0"


def test_kvm_with_the_hosts_own_processor_is_good() -> None:
    verdict = Verdict(accelerator=Accelerator.KVM, reason="proved with -cpu host: …", cpu_model="host")
    facts = {fact.topic: fact for fact in accelerator_facts(verdict)}
    assert {fact.grade for fact in facts.values()} == {Grade.GOOD}
    assert facts["CPU model"].finding == "host"


def test_a_lesser_processor_says_why_and_what_to_do_without_a_pmu() -> None:
    verdict = Verdict(accelerator=Accelerator.KVM, reason="proved", cpu_model="host,pmu=off", steps=(_STEP,))
    facts = {fact.topic: fact for fact in accelerator_facts(verdict)}
    assert facts["accelerator"].grade is Grade.GOOD
    assert facts["CPU model"].grade is Grade.NOTE
    assert facts["CPU model"].finding == f"host,pmu=off; {_STEP}"
    assert "--vmlab-timing icount" in facts["CPU model"].advice
    assert facts["accelerator"].seen["step_1"] == _STEP


def test_emulation_is_slow_and_usable_and_keeps_its_steps() -> None:
    facts = accelerator_facts(Verdict(accelerator=Accelerator.TCG, reason="KVM was tried …", steps=(_STEP,)))
    assert [fact.grade for fact in facts] == [Grade.SLOW]
    assert is_usable(facts)
    assert facts[0].seen["step_1"] == _STEP


def test_a_host_that_could_have_kvm_is_told_how_and_that_it_works_without() -> None:
    verdict = Verdict(accelerator=Accelerator.TCG, reason="there is no /dev/kvm")
    (fact,) = accelerator_facts(verdict, advice="sudo modprobe kvm_intel")
    assert fact.advice == "sudo modprobe kvm_intel; until then guests are emulated: slower, but everything works"


def test_a_qemu_that_may_run_stale_code_is_told_with_the_cure() -> None:
    (fact,) = stale_code_facts("7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", cpus=2)

    assert fact.grade is Grade.NOTE
    assert "QEMU 7.2.22 emulates 2 processors" in fact.finding
    assert "--vmlab-cpus 1" in fact.advice


@pytest.mark.parametrize(("version", "cpus"), [("10.0.2 (Debian 1:10.0.2)", 2), ("7.2.22", 1), ("unknown", 2)])
def test_a_qemu_or_a_guest_without_that_fault_is_not_spoken_of(version: str, cpus: int) -> None:
    assert stale_code_facts(version, cpus=cpus) == []


def test_the_limits_of_a_build_are_the_kernels_or_the_labs_with_the_reason() -> None:
    assert build_fact("").grade is Grade.GOOD
    assert build_fact("the cgroup '/a' is not delegated").finding.endswith(": the cgroup '/a' is not delegated")
