# SPDX-License-Identifier: MIT
"""Results for building test reports."""

from __future__ import annotations

from typing import Any

from vmlab.lab.facts import TargetFacts
from vmlab.provenance import Provenance
from vmlab.report.model import SCHEMA, Outcome, RunResult, TargetResult, TestResult


def provenance(**changes: str) -> Provenance:
    fields: dict[str, Any] = {
        "release": "6.1.0-56-cloud-amd64",
        "compiler": "gcc-12 (Debian 12.2.0-14) 12.2.0",
        "build_place": "host",
    }
    return Provenance(
        **(fields | changes),
        kernel_package="6.1.170-1",
        image="0" * 20,
        qemu="7.2.22",
        accelerator="tcg",
        accelerator_reason="there is no /dev/kvm",
        cpu_model="max",
        cpus=2,
        memory_mib=1024,
        timing_source="clock",
    )


def facts(
    *,
    compiler: str = "gcc-12 (Debian 12.2.0-14) 12.2.0",
    build_is_cached: bool = False,
    build_warnings: tuple[str, ...] = (),
) -> TargetFacts:
    return TargetFacts(
        provenance=provenance(compiler=compiler),
        image="cached",
        image_s=0.0,
        boot_s=41.26,
        boots=1,
        fork_s=0.84,
        forks=12,
        build_s=1.52,
        build_is_cached=build_is_cached,
        build_warnings=build_warnings,
        consoles=("console.log",),
    )


def row(
    *tests: tuple[str, Outcome, str], target: str = "debian12-6.1", known: TargetFacts | None = None
) -> TargetResult:
    results = tuple(
        TestResult(test=name, target=target, outcome=outcome, duration_s=0.5, reason=reason)
        for name, outcome, reason in tests
    )
    return TargetResult(target=target, facts=known, tests=results)


def run(*rows: TargetResult, notices: tuple[str, ...] = ()) -> RunResult:
    return RunResult(
        schema=SCHEMA,
        vmlab="0.1.0",
        started="2026-11-23T02:00:00+00:00",
        module="fibdrv",
        settings={"cpus": "2 (default)"},
        targets=rows,
        notices=notices,
    )
