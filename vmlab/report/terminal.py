# SPDX-License-Identifier: MIT
"""The table at the end of a run."""

from __future__ import annotations

import re

from vmlab.catalogue.target import TRIPLETS
from vmlab.report.console import Grid, Line
from vmlab.report.console import render as rendered
from vmlab.report.model import Outcome, RunResult, TargetResult, TestResult
from vmlab.system.naming import told_of

_MOST_REASONS = 3
_VARIES = re.compile(r"CPU[:#]? ?\d+|PID: \d+|CPU#\d+: \S+/\d+|0x[0-9a-f]+|\b[0-9a-f]{8,}\b")


def render(result: RunResult, *, width: int, color: bool) -> str:
    """Return the table with a row per target, then the reasons of faults, then missing parts and notices."""
    lines: list[Line] = []
    for row in result.targets:
        lines += [((line, "red" if row.is_unavailable else ""),) for line in reasons(row)]
        if row.facts is not None and row.facts.build_warnings:
            lines.append(((f"{row.target}: {_warnings(row.facts.build_warnings)}", "yellow"),))
    lines += [((f"MISSING: {line}", "red"),) for line in result.missing]
    lines += [(f"note: {notice}",) for notice in result.notices]
    return rendered([_table(result), *lines], width=max(width, 80), color=color)


def _table(result: RunResult) -> Grid:
    table = Grid()
    table.column("target", "kernel", "compiler", "accel", "image")
    table.column("boot", "fork", "build", "passed", "failed", "skipped", "time", is_right=True)
    for row in result.targets:
        table.row(*_cells(row), style="" if row.is_green else "red")
    return table


def _cells(row: TargetResult) -> tuple[str, ...]:
    facts = row.facts
    failed = row.count(Outcome.FAILED, Outcome.ERROR)
    lost = row.count(Outcome.LOST)
    not_run = row.count(Outcome.NOT_RUN)
    unavailable = row.count(Outcome.UNAVAILABLE)
    failures = str(failed) + "".join(
        f" +{count} {word}"
        for count, word in ((lost, "lost"), (not_run, "not run"), (unavailable, "unavailable"))
        if count
    )
    counts = (str(row.count(Outcome.PASSED)), failures, str(row.count(Outcome.SKIPPED)), _seconds(row.duration_s))
    if facts is None:
        return (row.target, "unavailable" if row.is_unavailable else "-", "-", "-", "-", "-", "-", "-", *counts)
    build = "-"
    if facts.build_s is not None:
        build = "cached" if facts.build_is_cached else f"{_seconds(facts.build_s)} {facts.provenance.build_place}"
    return (
        row.target,
        facts.provenance.release,
        _compiler(facts.provenance.compiler),
        facts.provenance.accelerator,
        facts.image if facts.image == "cached" else f"built {_seconds(facts.image_s)}",
        _seconds(facts.boot_s) if facts.boots else "-",
        _seconds(facts.fork_s) if facts.forks else "-",
        build,
        *counts,
    )


def _compiler(text: str) -> str:
    """Shorten `gcc-12 (Debian 12.2.0-14) 12.2.0` to `gcc-12 12.2.0`."""
    name, _, rest = text.partition(" (")
    version = rest.partition(") ")[2].split(" ")[0]
    for triplet in TRIPLETS.values():
        name = name.removeprefix(f"{triplet}-")
    return f"{name} {version}".strip() or "-"


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def reasons(row: TargetResult) -> list[str]:
    """Return a line for each distinct reason of a target's faults, most frequent first."""
    counted: dict[str, list[TestResult]] = {}
    for test in row.faults:
        counted.setdefault(fault_key(test), []).append(test)
    ranked = sorted(counted.values(), key=lambda tests: -len(tests))
    lines = []
    head = ("UNAVAILABLE",) if row.is_unavailable else ()
    for tests in ranked[:_MOST_REASONS]:
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        mark = f" ({tests[0].fingerprint})" if tests[0].fingerprint else ""
        lines.append(f"{told_of(row.target, *head, _why(tests[0]))}{mark}  [{tests[0].test}{more}]")
    if len(ranked) > _MOST_REASONS:
        lines.append(f"{row.target}: {len(ranked) - _MOST_REASONS} more reasons in results.json")
    return lines


def _warnings(told: tuple[str, ...]) -> str:
    """Return a line with the number of compiler warnings and the first one."""
    if len(told) == 1:
        return f"the build printed a warning: {told[0]}"
    return f"the build printed {len(told)} warnings, all in results.json; the first: {told[0]}"


def _why(test: TestResult) -> str:
    """Return a fault's reason with its source line, else the test's, unless the reason names the line (as compiler
    errors do)."""
    reason, place = test.reason or str(test.outcome), test.source or test.place
    return reason if not place or place.rpartition("/")[2] in reason else f"{reason} at {place}"


def fault_key(test: TestResult) -> str:
    """Return a key that is equal for equal faults: the reason without processor, process id and addresses."""
    return test.fingerprint or _VARIES.sub("#", test.reason or str(test.outcome))
