# SPDX-License-Identifier: MIT
"""Results of the experiments on each kernel, as stored in docs/explain/data/: one file per kernel."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError

Value = str | int | bool


class Outcome(StrEnum):
    """Outcome of an experiment on a kernel."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    LOST = "lost"
    """The machine was lost: the result is unknown."""
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of an experiment."""

    key: str
    command: str
    output: str
    facts: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A test and its findings; `test` is its node id without the target."""

    test: str
    outcome: Outcome
    reason: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def function(self) -> str:
        """The node id without parameters."""
        return self.test.partition("[")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A target, facts about its guest, and every experiment on it."""

    target: str
    release: str = ""
    """Kernel release; empty if the guest never booted."""
    package: str = ""
    compiler: str = ""
    machine: str = ""
    """QEMU's version and the accelerator."""
    experiments: tuple[Experiment, ...] = ()

    @property
    def line(self) -> tuple[int, int]:
        """(6, 12) for 6.12.118+deb13-cloud-amd64."""
        found = re.match(r"(\d+)\.(\d+)", self.release) or re.search(r"-(\d+)\.(\d+)", self.target)
        if found is None:
            raise UsageError(f"{self.target}: neither its release nor its name tells the kernel's line")
        return int(found[1]), int(found[2])

    @property
    def name(self) -> str:
        """The kernel line, such as `6.12`."""
        return ".".join(map(str, self.line))

    @property
    def faults(self) -> tuple[Experiment, ...]:
        """Experiments that should have shown something and did not; a skip has its reason and does not count."""
        return tuple(row for row in self.experiments if row.outcome not in (Outcome.PASSED, Outcome.SKIPPED))


def read_kernels(directory: Path) -> tuple[Kernel, ...]:
    """All stored kernels, oldest line first; `UsageError` when a file is damaged or none exists."""
    kernels = []
    for path in sorted(directory.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{path.name}: not valid JSON: {error}", hint="nox -s explain makes it anew") from None
        kernels.append(structure(data, Kernel, where=path.name))
    if not kernels:
        raise UsageError(f"no data of any kernel in {directory}", hint="nox -s explain")
    return in_order(kernels)


def in_order(kernels: list[Kernel]) -> tuple[Kernel, ...]:
    """The kernels, oldest line first, with their keys checked: a duplicate key would hide an experiment."""
    for kernel in kernels:
        seen: dict[str, str] = {}
        for row in kernel.experiments:
            for finding in row.findings:
                if finding.key in seen:
                    raise UsageError(
                        f"{kernel.target}: {finding.key!r} is kept twice, by {seen[finding.key]} and {row.test}",
                        hint="give each finding a key of its own",
                    )
                seen[finding.key] = row.test
    return tuple(sorted(kernels, key=lambda kernel: (kernel.line, kernel.target)))


def stored_text(kernel: Kernel) -> str:
    """Text of a kernel's file; reproducible for the same data."""
    data = unstructure(kernel)
    data["experiments"].sort(key=lambda row: row["test"])
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"
