# SPDX-License-Identifier: MIT
"""Checks of what the lab needs on this host; each is proved where possible."""

from __future__ import annotations

import re
from pathlib import Path

from vmlab.catalogue.target import Architecture, architectures_of, uefi_architectures_of
from vmlab.doctor.timing_facts import TimingHost, kvm_advice, read_timing_host, timing_facts
from vmlab.errors import VmlabError
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.facts import Fact, Grade, host_facts, is_usable
from vmlab.lab.lab import Lab
from vmlab.module.build_root import why_no_cgroup

_SWITCHES_CODE_WELL = 10
"""First major version of QEMU in which no stale code was seen: see docs/trouble.md for the figures."""
_KVM_DEVICE = Path("/dev/kvm")


def examine(lab: Lab) -> tuple[list[Fact], bool]:
    """Return facts about this host, and True if guests can run on it. Runs QEMU for up to 24 s, once per host boot.

    Facts that only affect timing do not make a host unusable.
    """
    settings, timing = lab.settings, read_timing_host()
    architectures = architectures_of(lab.targets)
    facts = host_facts(
        settings.store,
        memory_mib=settings.memory_mib,
        architectures=architectures,
        uefi=uefi_architectures_of(lab.targets),
    )
    for architecture in architectures:
        facts += _qemu(lab, architecture, timing)
    facts += timing_facts(timing)
    facts.append(build_fact(why_no_cgroup()))
    return facts, is_usable(facts)


def _qemu(lab: Lab, architecture: Architecture, host: TimingHost) -> list[Fact]:
    name = _named("QEMU", architecture)
    try:
        version = lab.qemu_version(architecture)
    except VmlabError as error:
        return [Fact(topic=name, grade=Grade.BAD, finding=error.message, advice=error.hint)]
    accelerator = _accelerator(lab, architecture, host)
    is_emulated = any(fact.seen.get("accelerator") == Accelerator.TCG for fact in accelerator)
    stale = stale_code_facts(version, cpus=lab.settings.cpus) if is_emulated and _is_amd64(architecture) else []
    return [Fact(topic=name, grade=Grade.GOOD, finding=version), *accelerator, *stale]


def _is_amd64(architecture: Architecture) -> bool:
    return architecture is Architecture.AMD64


def stale_code_facts(version: str, *, cpus: int) -> list[Fact]:
    """Return the fact that this QEMU, emulating several processors, may run code that a kernel has replaced. Pure."""
    major = re.match(r"\d+", version)
    if cpus == 1 or major is None or int(major[0]) >= _SWITCHES_CODE_WELL:
        return []
    return [
        Fact(
            topic="emulation",
            grade=Grade.NOTE,
            finding=f"QEMU {version.split()[0]} emulates {cpus} processors, and may keep running code that a guest's "
            "kernel has replaced (tracepoints, perf, kprobes); such a test is retried once",
            advice="use QEMU 10 (in bookworm-backports) or --vmlab-cpus 1: neither showed this fault",
        )
    ]


def build_fact(why_no_cgroup: str) -> Fact:
    """Return the fact of who limits a build on this host: the kernel, or the lab for a reason. Pure."""
    if not why_no_cgroup:
        finding = "a build on this host has a cgroup: the kernel limits its memory and processes"
        return Fact(topic="builds", grade=Grade.GOOD, finding=finding)
    finding = f"the lab checks the memory and processes of a build on this host: {why_no_cgroup}"
    return Fact(topic="builds", grade=Grade.NOTE, finding=finding)


def _named(topic: str, architecture: Architecture) -> str:
    return topic if architecture is Architecture.AMD64 else f"{topic} for {architecture}"


def _accelerator(lab: Lab, architecture: Architecture, host: TimingHost) -> list[Fact]:
    """Return the facts about the accelerator. KVM is proved with a kernel from the store, so this needs an image."""
    topic = _named("accelerator", architecture)
    image = lab.accelerators.proof_image(architecture)
    if image is None:
        finding = "unknown: KVM is proved by booting a kernel, and the store has no image yet"
        first = next(target for target in lab.targets if target.architecture is architecture)
        advice = f"vmlab shell {first.id} true"
        return [Fact(topic=topic, grade=Grade.SLOW, finding=finding, advice=advice)]
    try:
        verdict = lab.accelerators.verdict(image)
    except VmlabError as error:
        return [Fact(topic=topic, grade=Grade.BAD, finding=error.message, advice=error.hint)]
    return accelerator_facts(verdict, topic=topic, advice="" if _KVM_DEVICE.exists() else kvm_advice(host))


def accelerator_facts(verdict: Verdict, *, topic: str = "accelerator", advice: str = "") -> list[Fact]:
    """Return the accelerator with its proof, and under KVM the guests' CPU model; `advice` is the way to KVM. Pure."""
    seen = {"accelerator": str(verdict.accelerator), "reason": verdict.reason, "cpu_model": verdict.cpu_model}
    seen |= {f"step_{number}": step for number, step in enumerate(verdict.steps, 1)}
    finding = f"{verdict.accelerator}: {verdict.reason}"
    if verdict.accelerator is not Accelerator.KVM:
        emulated = "guests are emulated: slower, but everything works"
        advice = f"{advice}; until then {emulated}" if advice else emulated
        return [Fact(topic=topic, grade=Grade.SLOW, finding=finding, advice=advice, seen=seen)]
    is_best = not verdict.steps
    return [
        Fact(topic=topic, grade=Grade.GOOD, finding=finding, seen=seen),
        Fact(
            topic="CPU model",
            grade=Grade.GOOD if is_best else Grade.NOTE,
            finding=verdict.cpu_model if is_best else "; ".join((verdict.cpu_model, *verdict.steps)),
            advice="" if is_best else "without a PMU in the guest, --vmlab-timing icount counts instructions exactly",
            seen={"cpu_model": verdict.cpu_model},
        ),
    ]
