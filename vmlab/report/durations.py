# SPDX-License-Identifier: MIT
"""How long tests took, recorded to split later runs by, and estimates for what nobody has timed yet."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.decode import structure, unstructure
from vmlab.errors import UsageError
from vmlab.lab.facts import TargetFacts
from vmlab.report.files import RESULT_FILE, result_from
from vmlab.report.model import Outcome, RunResult, TargetResult
from vmlab.system.files import replace_file
from vmlab.timing.document import read_json

SCHEMA = 1
KIND = "vmlab durations"
UNKNOWN_TEST_S = 2.0
"""What a test is taken for when none was ever timed: a fork, and what is done in it."""
UNKNOWN_SETUP_S = 60.0
"""What making a target ready is taken for: boots took 11 to 105 s under TCG on two cores."""
_TIMED = (Outcome.PASSED, Outcome.FAILED, Outcome.ERROR, Outcome.SKIPPED)
_LONGEST_S = 10**7


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetDurations:
    """What was timed on one target, in seconds."""

    setup_s: float | None = None
    """What its first boot and the module's build took; None where no run needed them."""
    tests: Mapping[str, float]
    """Test names as the result file has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """A durations file."""

    kind: str = KIND
    schema: int = SCHEMA
    targets: Mapping[str, TargetDurations]


NOTHING_TIMED = Durations(targets={})


class Expected:
    """What tests are expected to take, by what was recorded; the same answers on every host."""

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
        """As recorded on this target, else the test's median on others, else the median of this target's tests, else
        of all."""
        row = self._recorded.get(target)
        if row is not None and test in row.tests:
            return row.tests[test]
        general = _general(test, target)
        return self._by_name[general] if general in self._by_name else self._of_target.get(target, self._of_any)

    def setup_s(self, target: str) -> float:
        """As recorded for this target, else the median of the others."""
        row = self._recorded.get(target)
        return self._of_any_setup if row is None or row.setup_s is None else row.setup_s


def durations_of(results: Iterable[RunResult]) -> Durations:
    """What runs timed; where several timed the same, the mean."""
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
    """Recorded durations out of a durations file, a results.json, or a directory with one.

    Raises `UsageError` when it is none of these, damaged, or holds what is no duration.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    data = read_json(file)
    if isinstance(data, dict) and data.get("kind") == KIND:
        if data.get("schema") != SCHEMA:
            raise UsageError(f"{str(file)!r} has another schema than {SCHEMA}", hint="record it anew")
        found = structure(data, Durations, where=str(file))
    elif isinstance(data, dict) and "targets" in data:
        found = durations_of([result_from(data, where=str(file))])
    else:
        raise UsageError(
            f"{str(file)!r} holds no durations", hint=f"name a {RESULT_FILE}, or what `vmlab report durations` wrote"
        )
    for target, row in found.targets.items():
        for name, duration_s in (*row.tests.items(), ("setup_s", row.setup_s or 0.0)):
            if not 0 <= duration_s <= _LONGEST_S:  # NaN is neither
                raise UsageError(f"{str(file)!r}: {target}: {name} takes {duration_s}, which is no duration")
    return found


def write_durations(durations: Durations, path: Path) -> None:
    """Write a durations file whole or not at all; `HostError` when the disk refuses."""
    replace_file(path, json.dumps(unstructure(durations), indent=1) + "\n")


def _timed(row: TargetResult) -> dict[str, float]:
    """Each test's own share: the first one waited for the image, the boot and the build, which are its target's."""
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
    """A test's name without its target, to find it again on another."""
    return test.replace(target, "*")
