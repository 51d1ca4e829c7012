# SPDX-License-Identifier: MIT
"""What this host can do for the lab, tried where it can be."""

from __future__ import annotations

from vmlab.errors import VmlabError
from vmlab.host.accelerator import Accelerator
from vmlab.host.facts import Fact, Grade, host_facts, is_usable
from vmlab.lab import Lab
from vmlab.target import Architecture, architectures_of


def examine(lab: Lab) -> tuple[list[Fact], bool]:
    """Facts about this host, and whether guests can run on it. Starts QEMU for up to 12 s, once per host boot."""
    architectures = architectures_of(lab.targets)
    settings = lab.settings
    facts = host_facts(settings.store, memory_mib=settings.memory_mib, architectures=architectures)
    for architecture in architectures:
        facts += _qemu(lab, architecture)
    return facts, is_usable(facts)


def _qemu(lab: Lab, architecture: Architecture) -> list[Fact]:
    name = _named("QEMU", architecture)
    try:
        version = lab.qemu_version(architecture)
    except VmlabError as error:
        return [Fact(topic=name, grade=Grade.BAD, finding=error.message, advice=error.hint)]
    return [Fact(topic=name, grade=Grade.GOOD, finding=version), _accelerator(lab, architecture)]


def _named(topic: str, architecture: Architecture) -> str:
    return topic if architecture is Architecture.AMD64 else f"{topic} for {architecture}"


def _accelerator(lab: Lab, architecture: Architecture) -> Fact:
    """KVM is proved with a kernel of the lab's own: without an image there is none to prove it with."""
    topic = _named("accelerator", architecture)
    image = lab.any_cached_image(architecture)
    if image is None:
        first = next(target for target in lab.targets if target.architecture is architecture)
        return Fact(
            topic=topic,
            grade=Grade.SLOW,
            finding="not known yet: KVM is proved by booting a kernel, and no image is in the store",
            advice=f"vmlab shell {first.id} true",
        )
    try:
        verdict = lab.verdict(image)
    except VmlabError as error:
        return Fact(topic=topic, grade=Grade.BAD, finding=error.message, advice=error.hint)
    is_fast = verdict.accelerator is Accelerator.KVM
    return Fact(
        topic=topic,
        grade=Grade.GOOD if is_fast else Grade.SLOW,
        finding=f"{verdict.accelerator}: {verdict.reason}",
        advice="" if is_fast else "guests are emulated: slower, and everything works",
    )
