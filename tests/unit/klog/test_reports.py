# SPDX-License-Identifier: MIT
"""Whole reports as a serial console shows them, one or two per file in `reports/`, and the fields read from each.

The formats are those of kernels from 5.10 to 7.3 on x86 and arm64; texts, names and addresses are invented.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmlab.decode import read_toml, structure
from vmlab.klog.log import LogRecord, parse_console, parse_kmsg
from vmlab.klog.splat import Splat, find_reports, find_splats
from vmlab.machine.console import clean

DIRECTORY = Path(__file__).parent / "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Expected fields of a report."""

    file: str
    kind: str
    title: str
    """First line of the report."""
    frames: tuple[str, ...] = ()
    module: str = "gauge"
    process: str = "feeder[831]"
    location: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    report: tuple[Report, ...]


_TABLE = DIRECTORY.with_suffix(".toml")
_ROWS = structure(read_toml(_TABLE), _Table, where=_TABLE.name).report
REPORTS = {name: list(rows) for name, rows in itertools.groupby(_ROWS, key=lambda report: report.file)}
INNOCENT = ("facts", "innocent-checkers", "innocent-drivers", "innocent-programs")


def console(name: str) -> str:
    """A file as the lab reads it from a console."""
    return clean((DIRECTORY / f"{name}.txt").read_bytes().decode())


def _read(name: str) -> list[LogRecord]:
    return parse_console(console(name))


def _functions(splat: Splat, count: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(frame.name for frame in splat.frames if not frame.is_guess))[:count]


def _fingerprints(names: Iterable[str]) -> list[str]:
    return [find_splats(_read(name))[0].fingerprint for name in names]


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_read_whole(name: str) -> None:
    splats = find_splats(_read(name))
    assert [splat.kind for splat in splats] == [report.kind for report in REPORTS[name]]
    for splat, report in zip(splats, REPORTS[name], strict=True):
        assert splat.title.startswith(report.title)
        assert (splat.module, splat.process, splat.location) == (report.module, report.process, report.location)
        assert _functions(splat, len(report.frames)) == report.frames


def test_every_file_has_its_row() -> None:
    assert {path.stem for path in DIRECTORY.iterdir()} == {*REPORTS, *INNOCENT}


@pytest.mark.parametrize("name", INNOCENT)
def test_innocent_lines_are_no_trouble(name: str) -> None:
    assert find_splats(_read(name)) == []


@pytest.mark.parametrize("name", INNOCENT[1:])
def test_innocent_lines_are_not_even_told(name: str) -> None:
    assert find_reports(_read(name)) == []


def test_facts_name_their_module() -> None:
    facts = find_reports(_read("facts"))
    assert [(fact.kind, fact.module) for fact in facts] == [
        ("taint notice", "gauge"),
        ("module verification", "gauge"),
        ("taint notice", "gauge"),
    ]


@pytest.mark.parametrize("name", REPORTS)
def test_a_program_that_writes_a_report_to_the_log_reports_nothing(name: str) -> None:
    lines = [f"12,{number},{number},-;{record.text}" for number, record in enumerate(_read(name))]
    assert find_reports(parse_kmsg("\n".join(lines))) == []


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("null-pointer-6.1", "---[ end trace 0000000000000000 ]---"),
        ("kasan-out-of-bounds", "=" * 66),
        ("kmsan", "=" * 53),
        ("ubsan-5.10", "=" * 80),
        ("slub-poison", "FIX kmalloc-64: Marking all objects used"),
        ("scheduling-while-atomic", " </TASK>"),
        ("bad-init-7.3", "gauge: init suspiciously returned 244, it should follow 0/-E convention"),
        ("kmemleak", "kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"),
    ],
)
def test_a_report_ends_where_the_kernel_ended_it(name: str, last: str) -> None:
    (splat,) = find_splats(_read(name))
    assert splat.records[-1].text == last


@pytest.mark.parametrize("name", ["two-hung-tasks", "two-slub", "lockup-then-oops", "bad-init-then-warning"])
def test_a_report_does_not_swallow_the_next(name: str) -> None:
    first, second = find_splats(_read(name))
    assert second.title not in [record.text for record in first.records]


def test_faults_in_different_functions_differ_although_the_same_functions_report_them() -> None:
    text = console("kasan-use-after-free-7.3")
    (one,) = find_splats(parse_console(text))
    (two,) = find_splats(parse_console(text.replace("gauge_read", "gauge_peek")))
    assert one.fingerprint != two.fingerprint
    assert len(set(_fingerprints(["panic", "stack-protector", "stack-end", "panic-init"]))) == 4


def test_two_modules_with_one_fault_differ() -> None:
    text = console("bad-init-6.12")
    (one,) = find_splats(parse_console(text))
    (two,) = find_splats(parse_console(text.replace("gauge", "ticker")))
    assert one.fingerprint != two.fingerprint


def test_one_fault_is_the_same_however_its_kernel_reports_it() -> None:
    assert len(set(_fingerprints(["null-pointer-5.10", "null-pointer-6.1", "null-pointer-7.3", "interleaved"]))) == 1
    assert len(set(_fingerprints(["warning-6.1", "warning-7.3", "warning-condition-7.3", "build-ids"]))) == 1
    assert len(set(_fingerprints(["rcu-sched-5.10", "rcu-preempt-other", "rcu-expedited"]))) == 1
