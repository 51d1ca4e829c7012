# SPDX-License-Identifier: MIT
"""Facts about a target, updated after each boot and build. Pure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.host.binfmt import native_architecture
from vmlab.machine.argv import default_cpu_model
from vmlab.machine.board import BOARDS
from vmlab.module.build import Built
from vmlab.provenance import Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """Facts about a target, collected while it was made ready."""

    provenance: Provenance
    image: str
    """`built` or `cached`."""
    image_s: float
    boot_s: float
    boots: int
    fork_s: float = 0.0
    """Seconds from the start of the first fork to its first answer."""
    forks: int = 0
    forks_discarded: int = 0
    """Number of forks that failed their proof; each was replaced by a boot."""
    build_s: float | None = None
    build_is_cached: bool = False
    build_warnings: tuple[str, ...] = ()
    consoles: tuple[str, ...] = ()


def with_boot(facts: TargetFacts, boot_s: float, console: Path) -> TargetFacts:
    """Return the facts after one more boot, which took `boot_s` to its first answer; the first boot's time is kept."""
    return dataclasses.replace(
        facts, boot_s=facts.boot_s or boot_s, boots=facts.boots + 1, consoles=(*facts.consoles, str(console))
    )


def with_build(facts: TargetFacts, built: Built) -> TargetFacts:
    """Return the facts after the module was built or taken from the cache."""
    provenance = dataclasses.replace(
        facts.provenance,
        kernel_compiler=built.kernel_compiler.text,
        compiler=built.compiler.text,
        compiler_match=str(built.match),
        build_place=str(built.place),
    )
    return dataclasses.replace(
        facts,
        provenance=provenance,
        build_s=built.duration_s,
        build_is_cached=built.is_cached,
        build_warnings=built.warnings,
    )


def emulated(facts: TargetFacts, verdict: Verdict) -> TargetFacts:
    """Return the facts of a target with KVM replaced by emulation. Pure."""
    provenance, architecture = facts.provenance, native_architecture()
    if provenance.accelerator != Accelerator.KVM or architecture is None:
        return facts
    lost = dataclasses.replace(
        provenance,
        accelerator=str(verdict.accelerator),
        accelerator_reason=verdict.reason,
        cpu_model=default_cpu_model(verdict.accelerator, BOARDS[architecture]),
    )
    return dataclasses.replace(facts, provenance=lost)
