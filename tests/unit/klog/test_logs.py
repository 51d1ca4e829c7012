# SPDX-License-Identifier: MIT
"""Whole logs of other machines in `logs/`, in the formats that people send, and the verdict on each in `logs.toml`.

dmesg and journalctl made their formats from invented texts, for x86-64, x86-32, arm64, arm and riscv.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmlab.decode import read_toml, structure
from vmlab.klog.explained import ExplainedLog, ExplainedReport, explain
from vmlab.klog.formats.reader import LogReader
from vmlab.klog.formats.source import read_lines
from vmlab.klog.rules import known_rules

DIRECTORY = Path(__file__).parent / "logs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A report that a log has."""

    kind: str
    title: str
    """Beginning of its title."""
    function: str = ""
    frames: tuple[str, ...] = ()
    module: str = "sluice"
    process: str = "pump[1207]"
    location: str = ""
    release: str = ""
    count: int = 1
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log, and all that must be found in it."""

    file: str
    format: str
    facts: tuple[str, ...] = ()
    report: tuple[Expected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    log: tuple[Log, ...]


_TABLE = DIRECTORY.with_suffix(".toml")
LOGS = structure(read_toml(_TABLE), _Table, where=_TABLE.name).log


def explained(path: Path) -> ExplainedLog:
    """Explanation of a file by vmlab's own rules."""
    with path.open("rb") as stream:
        reader = LogReader(read_lines(stream, name=path.name))
        log, _ = explain(reader, name=path.name, rules=known_rules(), today=datetime.date(2026, 12, 1))
    assert reader.is_log
    return log


def _found(report: ExplainedReport, expected: Expected) -> Expected:
    """A report in the form of an expectation."""
    certain = tuple(dict.fromkeys(frame.name for frame in report.frames if not frame.is_guess))
    return Expected(
        kind=report.kind,
        title=report.title[: len(expected.title)],
        function=report.function,
        frames=certain[: len(expected.frames)],
        module=report.module,
        process=report.process,
        location=report.location,
        release=report.release,
        count=report.count,
        then=tuple(consequence.kind for consequence in report.consequences),
    )


@pytest.mark.parametrize("log", LOGS, ids=[log.file for log in LOGS])
def test_a_log_gets_the_verdict_that_was_written_before(log: Log) -> None:
    found = explained(DIRECTORY / f"{log.file}.txt")

    assert [report.kind for report in found.reports] == [report.kind for report in log.report]
    assert [_found(*pair) for pair in zip(found.reports, log.report, strict=True)] == list(log.report)
    assert tuple(fact.kind for fact in found.facts) == log.facts
    assert found.is_trouble is bool(log.report)


def test_every_log_has_its_row() -> None:
    assert {path.stem for path in DIRECTORY.iterdir()} == {log.file for log in LOGS}


def test_a_report_names_the_lines_that_it_has_in_the_file() -> None:
    path = DIRECTORY / "console-arm-null-pointer.txt"
    lines = path.read_text(encoding="utf-8").splitlines()

    (report,) = explained(path).reports

    assert report.title in lines[report.first_line - 1]
    assert "---[ end trace 0000000000000000 ]---" in lines[report.last_line - 1]
    assert report.time_s == 312.400731


def test_what_is_not_the_kernels_is_counted() -> None:
    console = explained(DIRECTORY / "console-arm-null-pointer.txt")
    syslog = explained(DIRECTORY / "syslog-innocent-programs.txt")

    assert (console.lines, console.kernel_lines, console.other_lines) == (70, 54, 13)
    assert (syslog.kernel_lines, syslog.program_lines) == (22, 41)
