# SPDX-License-Identifier: MIT
"""A target's facts with what a boot or a build taught. Pure."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from vmlab.module.build import Built
from vmlab.report.model import TargetFacts


def with_boot(facts: TargetFacts, boot_s: float, console: Path) -> TargetFacts:
    """The facts after one boot more, in seconds to its first answer; the first boot's are kept."""
    return dataclasses.replace(
        facts, boot_s=facts.boot_s or boot_s, boots=facts.boots + 1, consoles=(*facts.consoles, str(console))
    )


def with_build(facts: TargetFacts, built: Built) -> TargetFacts:
    """The facts after the module was built, or found in the cache."""
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
