# SPDX-License-Identifier: MIT
"""Recorded test durations, to balance the shards of later runs, and estimates for tests without one."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.lab.facts import TargetFacts
from vmlab.report.check import LONGEST_S, require_plain
from vmlab.report.files import RESULT_FILE, result_from
from vmlab.report.model import Outcome, RunResult, TargetResult
from vmlab.system.files import replace_file
from vmlab.system.json_file import read_json
from vmlab.text import ascii_json, printable

SCHEMA = 1
KIND = "vmlab durations"
_SHOWN = 200
UNKNOWN_TEST_S = 2.0
"""Estimate for a test if no test has a recorded duration: a fork and the test itself."""
UNKNOWN_SETUP_S = 60.0
"""Estimate for the setup of a target: boots took 11 to 105 s under TCG on two cores."""
_TIMED = (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDurations:
    """Recorded durations of one target, in seconds."""

    setup_s: float | None = None
    """Duration of its first boot and the module's build; None if no run needed them."""
    tests: Mapping[str, float]
    """Duration of each test, by its name in the result file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Content of a durations file."""

    kind: str = KIND
    schema: int = SCHEMA
    targets: Mapping[str, TargetDurations]


NOTHING_TIMED = Durations(targets={})


class Expected:
    """Expected durations of tests, from recorded ones; the same on every host."""

    def __init__(self, recorded: Durations) -> None:
        self._recorded = recorded.targets
        everywhere: dict[str, list[float]] = {}
        for target, row in self._recorded.items():
            for test, duration_s in row.tests.items():
                everywhere.setdefault(_general(test, target), []).append(duration_s)
        self._by_name = {name: statistics.median(known) for name, known in everywhere.items()}
        self._of_target = {
            target: statistics.median(row.tests.values()) for target, row in self._recorded.items() if row.tests
        }
        every = [duration_s for known in everywhere.values() for duration_s in known]
        self._of_any = statistics.median(every) if every else UNKNOWN_TEST_S
        setups = [row.setup_s for row in self._recorded.values() if row.setup_s is not None]
        self._of_any_setup = statistics.median(setups) if setups else UNKNOWN_SETUP_S

    def test_s(self, test: str, target: str) -> float:
        """Return the duration recorded on this target, else the test's median on other targets, else the median of
        this target's tests, else of all tests."""
        row = self._recorded.get(target)
        if row is not None and test in row.tests:
            return row.tests[test]
        general = _general(test, target)
        return self._by_name[general] if general in self._by_name else self._of_target.get(target, self._of_any)

    def setup_s(self, target: str) -> float:
        """Return the setup time recorded for this target, else the median of the other targets."""
        row = self._recorded.get(target)
        return self._of_any_setup if row is None or row.setup_s is None else row.setup_s


def durations_of(results: Iterable[RunResult]) -> Durations:
    """Return the durations from the results of runs; the mean if several runs timed the same test."""
    tests: dict[str, dict[str, list[float]]] = {}
    setups: dict[str, list[float]] = {}
    for result in results:
        for row in result.targets:
            for name, duration_s in _timed(row).items():
                tests.setdefault(row.target, {}).setdefault(name, []).append(duration_s)
            setup_s = _setup_s(row.facts)
            if setup_s is not None:
                setups.setdefault(row.target, []).append(setup_s)
    return Durations(
        targets={
            target: TargetDurations(
                setup_s=_mean(setups[target]) if target in setups else None,
                tests={name: _mean(known) for name, known in sorted(tests[target].items())},
            )
            for target in sorted(tests)
        }
    )


def read_durations(path: Path) -> Durations:
    """Read recorded durations from a durations file, a results.json, or a directory with one.

    Raises `UsageError` if it is none of these, damaged, or has an invalid duration.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    data = read_json(file)
    if isinstance(data, dict) and data.get("kind") == KIND:
        if data.get("schema") != SCHEMA:
            raise UsageError(f"{str(file)!r} must have schema {SCHEMA}", hint="record the durations again")
        found = structure(data, Durations, where=str(file))
    elif isinstance(data, dict) and "targets" in data:
        found = durations_of([result_from(data, where=str(file))])
    else:
        raise UsageError(
            f"{str(file)!r} has no durations", hint=f"name a {RESULT_FILE}, or a file from `vmlab report durations`"
        )
    for target, row in found.targets.items():
        require_plain(target, where=str(file))
        for name, duration_s in (*row.tests.items(), ("setup_s", row.setup_s or 0.0)):
            if not 0 <= duration_s <= LONGEST_S:  # NaN fails both comparisons
                what = f"{target}: {printable(name[:_SHOWN])}: invalid duration {duration_s}"
                raise UsageError(f"{str(file)!r}: {what}, expected seconds")
    return found


def write_durations(durations: Durations, path: Path) -> None:
    """Write a durations file atomically; raises `HostError` if the disk fails."""
    replace_file(path, ascii_json(unstructure(durations)) + "\n")


def _timed(row: TargetResult) -> dict[str, float]:
    """Return each test's duration; from the first test's, subtract its wait for the target's image, boot and build."""
    found: dict[str, float] = {}
    for number, test in enumerate(row.tests):
        duration_s = test.duration_s
        if number == 0 and row.facts is not None:
            waited_s = row.facts.image_s + (_setup_s(row.facts) or 0.0)
            duration_s = max(duration_s - waited_s, min(duration_s, row.facts.fork_s))
        if test.outcome in _TIMED and math.isfinite(duration_s):
            found[test.test] = max(found.get(test.test, 0.0), duration_s)
    return found


def _setup_s(facts: TargetFacts | None) -> float | None:
    if facts is None or not facts.boots:
        return None
    return facts.boot_s + (0.0 if facts.build_is_cached else facts.build_s or 0.0)


def _mean(known: list[float]) -> float:
    return round(statistics.fmean(known), 3)


def _general(test: str, target: str) -> str:
    """Return a test's name without its target, to match it on another target."""
    return test.replace(target, "*")
