# SPDX-License-Identifier: MIT
"""The one model that every report reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vmlab.lab.facts import TargetFacts
from vmlab.timing.series import Series

SCHEMA = 3
"""Raised when a field changes its meaning or goes away, and for a field that other programs wait for.

2: a fault of an image or the host is `unavailable`, and was `error`. 3: a test has the kernel's reports."""
READABLE = (1, 2, SCHEMA)
"""The versions that are read; an older file's outcomes are taken as they stand."""

LOST_STATUS = 6
"""Nothing failed, and machines were lost: nothing is known about what their tests test. Running again may tell."""
NOT_RUN_STATUS = 7
"""Nothing failed and no machine was lost in a test, and tests were not run since their target was given up."""
UNAVAILABLE_STATUS = 8
"""The only trouble is that an image could not be had, or that the host could not do what a test needs."""


class Outcome(StrEnum):
    """How a test ended on a target."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    LOST = "lost"
    """The machine went away: nothing is known about the module."""
    NOT_RUN = "not run"
    """The target was given up before this test, or the run was interrupted in it."""
    UNAVAILABLE = "unavailable"
    """The image could not be had, or the host could not do what the test needs: nothing is known about the module."""


UNKNOWN = (Outcome.LOST, Outcome.NOT_RUN, Outcome.UNAVAILABLE)
"""The outcomes of tests of which nothing follows for the module."""


def unknown_status(outcomes: Collection[Outcome]) -> int:
    """The exit status of a run whose faults have these outcomes, all of `UNKNOWN` and at least one."""
    if Outcome.LOST in outcomes:
        return LOST_STATUS
    return NOT_RUN_STATUS if Outcome.NOT_RUN in outcomes else UNAVAILABLE_STATUS


class Standing(StrEnum):
    """What a report of the kernel meant for the test that it was made in."""

    TROUBLE = "trouble"
    """Nobody expected it: the test has failed."""
    EXPECTED = "expected"
    """The test said that it would provoke it."""
    ALLOWED = "allowed"
    """An entry of the allow list covers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplatFrame:
    """A frame of a report's call trace."""

    function: str
    module: str = ""
    """Empty for the kernel proper."""
    source: str = ""
    """`read.c:42`, in the module's directory or in the kernel's tree; empty when it is not known."""
    is_guess: bool = False
    """True for an address that was on the stack, which proves no call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplatResult:
    """A report in the kernel log."""

    kind: str
    title: str
    standing: Standing
    location: str = ""
    """`mm/slub.c:305`, where the kernel names one."""
    process: str = ""
    """`insmod[94]`."""
    module: str = ""
    """The module to blame; empty when none is in the trace."""
    frames: tuple[SplatFrame, ...] = ()
    source: str = ""
    """`read.c:42`, the innermost line in the module's directory; empty when it is not known."""
    fingerprint: str = ""
    """The same for each report of one fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One test on one target."""

    __test__ = False

    test: str
    target: str
    outcome: Outcome
    duration_s: float
    reason: str = ""
    """One line: why it did not pass."""
    fingerprint: str = ""
    """The same for each report of one fault by the kernel; empty where it reported none."""
    source: str = ""
    """`read.c:42`: where in the module's directory the fault lies, if that is known."""
    splats: tuple[SplatResult, ...] = ()
    """What the kernel reported during the test, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetResult:
    """A row of the table."""

    target: str
    facts: TargetFacts | None
    tests: tuple[TestResult, ...]

    def count(self, *outcomes: Outcome) -> int:
        ended = [test.outcome for test in self.tests]
        return sum(map(ended.count, outcomes))

    @property
    def is_green(self) -> bool:
        """Something passed and nothing went wrong: a target on which all was skipped holds nothing."""
        return self.count(Outcome.PASSED) > 0 and not self.faults

    @property
    def is_unavailable(self) -> bool:
        """True if there was no test that was not skipped and had what it needs."""
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
    """Which part of a run a result is."""

    index: int
    count: int
    run: str
    """Digest of the names of all tests of the whole run: shards with the same belong together."""
    tests: int
    """How many of them with a guest are this shard's: one with fewer results was cut short."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """A whole run, as it is written to results.json."""

    schema: int
    vmlab: str
    started: str
    module: str
    settings: Mapping[str, str]
    targets: tuple[TargetResult, ...]
    series: tuple[Series, ...] = field(default=())
    notices: tuple[str, ...] = field(default=())
    source: str = ""
    """Digest of the module's sources; empty where no module was meant."""
    shard: ShardFacts | None = None
    """Which part of a split run this is; None for a whole one."""
    missing: tuple[str, ...] = field(default=())
    """What a merged result lacks, a line each: a shard, or part of one."""

    @property
    def status(self) -> int:
        """What a command that found this ends with: pytest's statuses, and those above."""
        faults = {test.outcome for row in self.targets for test in row.faults}
        if self.missing or faults & {Outcome.FAILED, Outcome.ERROR}:
            return 1
        if faults:
            return unknown_status(faults)
        return 0 if any(row.tests for row in self.targets) else 5
