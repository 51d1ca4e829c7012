# SPDX-License-Identifier: MIT
"""Results as GitHub Actions' workflow commands: annotations in the module's source.

The runner executes commands in anything that a step prints, and these texts contain a guest's output. So all text is
escaped as in actions/toolkit (packages/core/src/command.ts).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from vmlab.report.model import UNKNOWN, Outcome, RunResult, TestResult
from vmlab.report.terminal import fault_key
from vmlab.text import printable

MOST_ANNOTATIONS = 10
"""Limit of GitHub per kind and step (actions/toolkit, docs/problem-matchers.md, "Limitations")."""
_LONGEST = 4000


def annotate(result: RunResult, *, directory: str, root: str = "") -> list[str]:
    """Return an error for each distinct fault, at its line in the module's source if known, else at the test's; a
    warning for each distinct lost, not run or unavailable outcome; and the run's notices.

    `directory` is the module's directory in the repository, and `root` that which pytest ran in. Pure.
    """
    faults = [test for row in result.targets for test in row.faults]
    wrong = _grouped([test for test in faults if test.outcome not in UNKNOWN])
    unknown = _grouped([test for test in faults if test.outcome in UNKNOWN])
    missing = [command("error", line, title="vmlab") for line in result.missing]
    errors = [*missing, *(_of_fault("error", tests, directory, root) for tests in wrong)]
    warnings = [_of_fault("warning", tests, directory, root) for tests in unknown]
    return [*_limited("error", errors), *_limited("warning", warnings), *notices(result.notices)]


def notices(texts: Sequence[str]) -> list[str]:
    """Return a workflow command for each notice, at most `MOST_ANNOTATIONS`."""
    return _limited("notice", [command("notice", text, title="vmlab") for text in texts])


def outputs(result: RunResult) -> dict[str, str]:
    """Return the outputs of a step: the accelerators in use, and the counts over all targets."""
    used = {row.facts.provenance.accelerator for row in result.targets if row.facts is not None}
    counts = {
        "passed": (Outcome.PASSED,),
        "failed": (Outcome.FAILED, Outcome.ERROR),
        "lost": (Outcome.LOST, Outcome.NOT_RUN),
        "unavailable": (Outcome.UNAVAILABLE,),
        "skipped": (Outcome.SKIPPED,),
    }
    told = {name: str(sum(row.count(*outcomes) for row in result.targets)) for name, outcomes in counts.items()}
    return {"accelerator": printable(",".join(sorted(used))), **told}


def command(word: str, text: str, **properties: str | int) -> str:
    """Return a workflow command on one line, escaped; empty properties are omitted."""
    told = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value)
    return f"::{word}{' ' if told else ''}{told}::{_data(text)}"


def _of_fault(word: str, tests: Sequence[TestResult], directory: str, root: str) -> str:
    first = tests[0]
    targets = list(dict.fromkeys(test.target for test in tests))
    names = list(dict.fromkeys(test.test for test in tests))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    text = f"{first.reason or first.outcome}\n{first.outcome}: {names[0]}{more}\non {', '.join(targets)}"
    file, _, line = (first.source or first.place).rpartition(":")
    above = directory if first.source else root
    place = {"file": str(PurePosixPath(above, file)), "line": line} if file else {}
    return command(word, text, **place, title=f"vmlab {targets[0]}{' and others' if targets[1:] else ''}")


def _grouped(faults: Sequence[TestResult]) -> list[list[TestResult]]:
    """Group equal faults of all targets; those with a source line come first, then the most frequent."""
    groups: dict[tuple[str, str], list[TestResult]] = {}
    for test in faults:
        groups.setdefault((test.source, fault_key(test)), []).append(test)
    return sorted(groups.values(), key=lambda tests: (not tests[0].source, -len(tests)))


def _limited(word: str, commands: list[str]) -> list[str]:
    if len(commands) <= MOST_ANNOTATIONS:
        return commands
    kept = commands[: MOST_ANNOTATIONS - 1]
    rest = len(commands) - len(kept)
    return [*kept, command(word, f"{rest} more: see the step's summary or results.json", title="vmlab")]


def _data(text: str) -> str:
    lines = [printable(line) for line in text[:_LONGEST].splitlines()]
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
