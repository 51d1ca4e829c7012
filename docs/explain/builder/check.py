# SPDX-License-Identifier: MIT
"""Checks that every statement still holds in the findings; only such statements reach a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from builder.claim import Absence, Claim, Standing, State, finding_on, standings
from builder.kernels import Kernel, Outcome
from builder.question import Question, Statement
from vmlab.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A claim and its standing on each kernel it applies to."""

    claim: Claim
    standings: tuple[Standing, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A kernel on which an experiment of the page showed nothing, and the reason."""

    kernel: Kernel
    finding: str
    absence: Absence

    @property
    def is_fault(self) -> bool:
        """True except for a skip, which has a fact as its reason, and a passed test, which is not about this kernel."""
        return self.absence.outcome not in (Outcome.SKIPPED, Outcome.PASSED)


def tests_of(questions: Sequence[Question]) -> dict[str, str]:
    """The test that stores each finding on the page."""
    return {shown.finding: shown.test for question in questions for shown in question.experiment}


def checked(statement: Statement, kernels: Sequence[Kernel], tests: dict[str, str]) -> tuple[Checked, ...]:
    """A statement's claims with their standings; the statement has passed `require_shown`."""
    return tuple(
        Checked(claim=claim, standings=tuple(standings(claim, kernels, tests[claim.finding])))
        for claim in statement.shown_by
    )


def require_shown(questions: Sequence[Question], kernels: Sequence[Kernel]) -> None:
    """Raise `UsageError` with a line for each statement without evidence or contradicted by the data."""
    tests = tests_of(questions)
    faults = list(_misnamed(kernels, tests))
    faults += [
        f"{question.id}: {_beginning(statement)}: {fault}"
        for question in questions
        for statement in question.statements
        for fault in _faults(statement, kernels, tests)
    ]
    if faults:
        raise UsageError(
            f"{len(faults)} {'thing does' if len(faults) == 1 else 'things do'} not stand",
            hint="correct docs/explain/*.toml, or find out why an experiment shows something else",
            detail="\n".join(faults),
        )


def gaps(questions: Sequence[Question], kernels: Sequence[Kernel]) -> tuple[Gap, ...]:
    """Missing results that the page must report, per kernel."""
    return tuple(
        Gap(kernel=kernel, finding=key, absence=each)
        for key, test in tests_of(questions).items()
        for kernel in kernels
        if isinstance(each := finding_on(kernel, key, test), Absence)
    )


def _misnamed(kernels: Sequence[Kernel], tests: dict[str, str]) -> Iterator[str]:
    kept = {finding.key: row.function for kernel in kernels for row in kernel.experiments for finding in row.findings}
    for key, test in tests.items():
        if kept.get(key, test) != test:
            yield f"{key} is kept by {kept[key]}, and not by {test}"


def _faults(statement: Statement, kernels: Sequence[Kernel], tests: dict[str, str]) -> Iterator[str]:
    if not statement.shown_by and not statement.told_by:
        yield "it rests on neither a finding nor a source"
    states: set[State] = set()
    for claim in statement.shown_by:
        if claim.finding not in tests:
            yield f"{claim.finding!r} is no experiment on the page"
            return
        rows = standings(claim, kernels, tests[claim.finding])
        if not rows:
            yield f"{claim.finding}: {claim.words}: no kernel is meant"
        for row in rows:
            states.add(row.state)
            if row.state is State.CONTRADICTED:
                yield f"{claim.finding} on {row.kernel.name}: {claim.words}, and it is {row.seen}"
    if states == {State.UNSHOWN} and not statement.told_by:
        yield "no kernel shows it any more"


def _beginning(statement: Statement) -> str:
    return statement.en if len(statement.en) <= 60 else f"{statement.en[:57]}…"
