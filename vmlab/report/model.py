# SPDX-License-Identifier: MIT
"""The result model, the input of every report."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vmlab.lab.facts import TargetFacts
from vmlab.timing.series import Series

SCHEMA = 3
"""Version of the model. Incremented if a field's meaning changes, a field is removed, or programs need a new field.

2: a fault of an image or the host is `unavailable`; before, it was `error`. 3: a test has the kernel's reports."""
READABLE = (1, 2, SCHEMA)
"""Versions that can be read; the outcomes of an older file are not converted."""

LOST_STATUS = 6
"""Exit status: no test failed, but machines were lost and their tests have no result; another run may give one."""
NOT_RUN_STATUS = 7
"""Exit status: no test failed or lost its machine, but tests were not run since their target was given up."""
UNAVAILABLE_STATUS = 8
"""Exit status: the only fault is a missing image, or a host that lacks what a test needs."""


class Outcome(StrEnum):
    """Outcome of a test on a target."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    LOST = "lost"
    """The machine was lost: the test says nothing about the module."""
    NOT_RUN = "not run"
    """The target was given up before this test, or the run was interrupted in it."""
    UNAVAILABLE = "unavailable"
    """The image is missing, or the host lacks what the test needs: the test says nothing about the module."""


UNKNOWN = (Outcome.LOST, Outcome.NOT_RUN, Outcome.UNAVAILABLE)
"""Outcomes that say nothing about the module."""


def unknown_status(outcomes: Collection[Outcome]) -> int:
    """Return the exit status of a run whose faults have these outcomes: at least one, and only those in `UNKNOWN`."""
    if Outcome.LOST in outcomes:
        return LOST_STATUS
    return NOT_RUN_STATUS if Outcome.NOT_RUN in outcomes else UNAVAILABLE_STATUS


class Standing(StrEnum):
    """Meaning of a kernel report for its test."""

    TROUBLE = "trouble"
    """The report is unexpected: the test fails."""
    EXPECTED = "expected"
    """An `expect_splat` marker of the test names the report."""
    ALLOWED = "allowed"
    """An entry of the allow list covers the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplatFrame:
    """A frame of a report's call trace."""

    function: str
    module: str = ""
    """Name of the module; empty for code that is built into the kernel."""
    source: str = ""
    """File and line, e.g. `read.c:42`, in the module's directory or the kernel's tree; empty if unknown."""
    is_guess: bool = False
    """True for an address found on the stack, which does not prove a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplatResult:
    """A report in the kernel log."""

    kind: str
    title: str
    standing: Standing
    location: str = ""
    """File and line that the kernel names, e.g. `mm/slub.c:305`; empty if none."""
    process: str = ""
    """Process and its id, e.g. `insmod[94]`."""
    module: str = ""
    """The blamed module; empty if no module is in the trace."""
    frames: tuple[SplatFrame, ...] = ()
    source: str = ""
    """The innermost line in the module's directory, e.g. `read.c:42`; empty if unknown."""
    fingerprint: str = ""
    """Digest that is equal for all reports of the same fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test on one target."""

    __test__ = False

    test: str
    target: str
    outcome: Outcome
    duration_s: float
    reason: str = ""
    """Reason why the test did not pass, in one line."""
    fingerprint: str = ""
    """Digest that is equal for all kernel reports of the same fault; empty without a report."""
    source: str = ""
    """Line of the fault in the module's directory, e.g. `read.c:42`; empty if unknown."""
    place: str = ""
    """Line of the test that failed, e.g. `tests/test_read.py:7`, relative to pytest's rootdir; empty if unknown."""
    splats: tuple[SplatResult, ...] = ()
    """Kernel reports during the test, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """The results of one target, a row of the table."""

    target: str
    facts: TargetFacts | None
    tests: tuple[TestResult, ...]

    def count(self, *outcomes: Outcome) -> int:
        ended = [test.outcome for test in self.tests]
        return sum(map(ended.count, outcomes))

    @property
    def is_green(self) -> bool:
        """True if a test passed and none had a fault; false if all tests were skipped."""
        return self.count(Outcome.PASSED) > 0 and not self.faults

    @property
    def is_unavailable(self) -> bool:
        """True if all tests that were not skipped are unavailable, and there is at least one."""
        tried = len(self.tests) - self.count(Outcome.SKIPPED)
        return tried > 0 and self.count(Outcome.UNAVAILABLE) == tried

    @property
    def faults(self) -> tuple[TestResult, ...]:
        fine = (Outcome.PASSED, Outcome.SKIPPED)
        return tuple(test for test in self.tests if test.outcome not in fine)

    @property
    def duration_s(self) -> float:
        return sum(test.duration_s for test in self.tests)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardFacts:
    """The shard of a split run."""

    index: int
    count: int
    run: str
    """Digest of the names of all tests of the whole run, equal for all its shards."""
    tests: int
    """Number of this shard's tests that use a guest; a result with fewer tests is incomplete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A run, as written to results.json."""

    schema: int
    vmlab: str
    started: str
    module: str
    settings: Mapping[str, str]
    targets: tuple[TargetResult, ...]
    series: tuple[Series, ...] = field(default=())
    notices: tuple[str, ...] = field(default=())
    source: str = ""
    """Digest of the module's sources; empty for a run without a module."""
    shard: ShardFacts | None = None
    """The shard of a split run; None for a whole run."""
    missing: tuple[str, ...] = field(default=())
    """Missing parts of a merged result, a line each: a shard, part of a shard, or a target."""

    @property
    def status(self) -> int:
        """Exit status of a command that reports this result: one of pytest's, or of those above."""
        faults = {test.outcome for row in self.targets for test in row.faults}
        if self.missing or faults & {Outcome.FAILED, Outcome.ERROR}:
            return 1
        if faults:
            return unknown_status(faults)
        return 0 if any(row.tests for row in self.targets) else 5
