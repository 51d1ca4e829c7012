# SPDX-License-Identifier: MIT
"""Annotations point to the module's source, and guest output is never a workflow command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vmlab.report.github import MOST_ANNOTATIONS, annotate, command, outputs
from vmlab.report.model import Outcome, RunResult, TargetResult, TestResult

from .results import row, run


def _fault(
    test: str, reason: str, *, target: str = "debian12-6.1", source: str = "", outcome: Outcome = Outcome.FAILED
) -> TestResult:
    return TestResult(test=test, target=target, outcome=outcome, duration_s=1.0, reason=reason, source=source)


def _run(*faults: TestResult) -> RunResult:
    targets = dict.fromkeys(fault.target for fault in faults)
    rows = [
        TargetResult(target=target, facts=None, tests=tuple(fault for fault in faults if fault.target == target))
        for target in targets
    ]
    return run(*rows)


def test_a_fault_in_the_module_stands_at_its_line() -> None:
    fault = _fault("fib::read", "kernel: WARNING: CPU: 0", source="core/read.c:42")
    assert annotate(_run(fault), directory="drivers/fib") == [
        "::error file=drivers/fib/core/read.c,line=42,title=vmlab debian12-6.1::"
        "kernel: WARNING: CPU: 0%0Afailed: fib::read%0Aon debian12-6.1"
    ]


def test_a_failed_assertion_stands_at_the_line_of_its_test() -> None:
    fault = replace(_fault("fib::read", "assert 1 == 2"), place="tests/test_read.py:7")

    (line,) = annotate(_run(fault), directory="drivers/fib", root="drivers")

    assert line.startswith("::error file=drivers/tests/test_read.py,line=7,title=vmlab debian12-6.1::assert 1 == 2")


def test_the_modules_line_comes_before_that_of_the_test() -> None:
    fault = replace(_fault("fib::read", "kernel: WARNING", source="read.c:42"), place="tests/test_read.py:7")

    (line,) = annotate(_run(fault), directory=".")

    assert line.startswith("::error file=read.c,line=42,")


def test_one_fault_on_many_kernels_is_one_annotation() -> None:
    faults = [
        _fault(test, "fibdrv.c:7: broken", target=target, source="fibdrv.c:7", outcome=Outcome.ERROR)
        for target in ("debian12-6.1", "debian13-6.12")
        for test in ("a", "b", "c")
    ]
    (line,) = annotate(_run(*faults), directory=".")
    assert line.startswith("::error file=fibdrv.c,line=7,title=vmlab debian12-6.1 and others::fibdrv.c:7: broken%0A")
    assert line.endswith("error: a and 2 more%0Aon debian12-6.1, debian13-6.12")


def test_a_fault_without_a_place_is_told_after_those_with_one() -> None:
    lines = annotate(_run(_fault("a", "1 != 2"), _fault("b", "oops", source="x.c:1")), directory=".")
    assert [line.partition("::")[2].partition("::")[0] for line in lines] == [
        "error file=x.c,line=1,title=vmlab debian12-6.1",
        "error title=vmlab debian12-6.1",
    ]


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.NOT_RUN, Outcome.UNAVAILABLE])
def test_what_nobody_knows_is_a_warning(outcome: Outcome) -> None:
    (line,) = annotate(_run(_fault("a", "QEMU ended", outcome=outcome)), directory=".")
    assert line.startswith("::warning ")


def test_missing_shards_and_notices_are_told() -> None:
    result = replace(
        run(), missing=("shard 2 of 3 is missing",), notices=("guests are emulated: there is no /dev/kvm",)
    )
    assert annotate(result, directory=".") == [
        "::error title=vmlab::shard 2 of 3 is missing",
        "::notice title=vmlab::guests are emulated: there is no /dev/kvm",
    ]


def test_a_green_run_says_nothing() -> None:
    assert annotate(run(row(("a", Outcome.PASSED, ""), ("b", Outcome.SKIPPED, "not here"))), directory=".") == []


def test_no_more_are_told_than_are_shown_and_the_rest_is_counted() -> None:
    lines = annotate(_run(*(_fault(f"t{number}", f"reason {number}") for number in range(25))), directory=".")
    assert len(lines) == MOST_ANNOTATIONS
    assert lines[-1].startswith("::error title=vmlab::16 more: ")


@pytest.mark.parametrize(
    "evil",
    [
        "x\n::add-mask::y",
        "x\r\n::error::y",
        "x\u2028::stop-commands::z",
        "a\x1b[2Jb\n##[add-path]/tmp",
        "\x85::debug::x",
    ],
)
def test_what_a_guest_printed_is_no_command(evil: str) -> None:
    (line,) = annotate(_run(_fault(evil, evil, source=f"{evil}:1", target=evil)), directory=evil)
    assert len(line.splitlines()) == 1
    assert line.isprintable()
    assert line.startswith("::error file=")
    # The message starts at the second `::`, and no property contains one.
    assert line.partition(" ")[2].partition("::")[0].count(":") == 0


def test_properties_and_text_are_escaped_as_the_runner_reads_them() -> None:
    assert command("error", "50% of a:b,c\nend", file="a:b,c%.c") == "::error file=a%3Ab%2Cc%25.c::50%25 of a:b,c%0Aend"


def test_a_text_without_end_is_cut() -> None:
    assert len(command("notice", "x" * 10**6)) < 5000


def test_what_a_step_hands_on_counts_each_outcome_once() -> None:
    tests = [(str(outcome), outcome, "why") for outcome in Outcome]

    told = outputs(run(row(*tests)))

    counts = {name: int(value) for name, value in told.items() if name != "accelerator"}
    assert counts == {"passed": 1, "failed": 2, "lost": 2, "unavailable": 1, "skipped": 1}
    assert sum(counts.values()) == len(Outcome)
