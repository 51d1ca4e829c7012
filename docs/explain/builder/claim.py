# SPDX-License-Identifier: MIT
"""A claim: the evidence that a statement needs in a finding, and its evaluation per kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from builder.kernels import Experiment, Finding, Kernel, Outcome, Value
from builder.source import is_between, line_of

_RELATIONS = ("equals", "differs", "at_least", "at_most", "contains", "lacks", "one_of", "same", "shows", "hides")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A fact of a finding and exactly one relation, on every kernel or on those from `since` on and before `before`."""

    finding: str
    fact: str = ""
    equals: str | int | bool | None = None
    differs: str | int | bool | None = None
    at_least: int | None = None
    at_most: int | None = None
    contains: str | None = None
    lacks: str | None = None
    """Text that the fact does not contain."""
    one_of: tuple[str | int | bool, ...] | None = None
    same: bool | None = None
    """True if the fact has one value on all these kernels."""
    shows: str | None = None
    """Text that the output contains; the claim then has no fact."""
    hides: str | None = None
    """Text that the output does not contain; the claim then has no fact."""
    since: str = ""
    before: str = ""
    if_kept: bool = False
    """True to accept a passed experiment that stored no such finding, for example because it stores another one in a
    guest with a PMU."""

    def __post_init__(self) -> None:
        chosen = [name for name in _RELATIONS if getattr(self, name) is not None]
        if len(chosen) != 1:
            raise ValueError(f"{self.finding}: a claim has one of {', '.join(_RELATIONS)}; this one has {chosen}")
        if (chosen[0] in ("shows", "hides")) is bool(self.fact):
            raise ValueError(f"{self.finding}: {chosen[0]!r} with{'' if self.fact else 'out'} a fact")
        for line in filter(None, (self.since, self.before)):
            line_of(line)

    @property
    def relation(self) -> str:
        return next(name for name in _RELATIONS if getattr(self, name) is not None)

    @property
    def words(self) -> str:
        """`call equals 'finit_module'`, for a message and for the page."""
        expected = getattr(self, self.relation)
        return " ".join(filter(None, (self.fact, self.relation, repr(expected))))


class State(StrEnum):
    """Result of a claim on a kernel."""

    HOLDS = "holds"
    CONTRADICTED = "contradicted"
    UNSHOWN = "unshown"
    """The experiment failed there, was skipped or did not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A claim on one kernel: the value found, or the reason for its absence."""

    kernel: Kernel
    state: State
    seen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Reason why a kernel lacks a finding."""

    outcome: Outcome
    reason: str


def finding_on(kernel: Kernel, key: str, test: str) -> Finding | Absence:
    """A finding of a passed test; otherwise the worst outcome of that test there."""
    rows = [row for row in kernel.experiments if row.function == test]
    for row in rows:
        for finding in row.findings:
            if finding.key == key and row.outcome is Outcome.PASSED:
                return finding
    worst = sorted(rows, key=_badness)
    if not worst:
        return Absence(outcome=Outcome.NOT_RUN, reason="")
    return Absence(outcome=worst[0].outcome, reason=worst[0].reason)


def standings(claim: Claim, kernels: Sequence[Kernel], test: str) -> list[Standing]:
    """A claim's standing on every kernel it applies to; empty if there is none."""
    meant = [kernel for kernel in kernels if is_between(kernel.line, since=claim.since, before=claim.before)]
    return list(_standings(claim, meant, test))


def _standings(claim: Claim, kernels: Sequence[Kernel], test: str) -> Iterator[Standing]:
    found = [(kernel, finding_on(kernel, claim.finding, test)) for kernel in kernels]
    values = {repr(each.facts.get(claim.fact)) for _, each in found if isinstance(each, Finding)}
    for kernel, each in found:
        if isinstance(each, Absence):
            # A passed test that stored no such finding does not support the statement.
            is_wrong = each.outcome is Outcome.PASSED and not claim.if_kept
            state = State.CONTRADICTED if is_wrong else State.UNSHOWN
            why = "the experiment kept nothing" if each.outcome is Outcome.PASSED else f"{each.outcome}: {each.reason}"
            yield Standing(kernel=kernel, state=state, seen=why)
        elif claim.fact and claim.fact not in each.facts:
            facts = ", ".join(each.facts) or "none"
            yield Standing(kernel=kernel, state=State.CONTRADICTED, seen=f"no such fact; there are: {facts}")
        else:
            holds = (len(values) == 1) is claim.same if claim.same is not None else _holds(claim, each)
            seen = str(each.facts[claim.fact]) if claim.fact else ("shown" if claim.shows is not None else "not shown")
            if not claim.fact and not holds:
                seen = f"in its output: {each.output.strip()[:200]!r}"
            yield Standing(kernel=kernel, state=State.HOLDS if holds else State.CONTRADICTED, seen=seen)


def _holds(claim: Claim, finding: Finding) -> bool:
    value: Value = finding.facts.get(claim.fact, "")
    expected = getattr(claim, claim.relation)
    match claim.relation:
        case "equals":
            return _is_same(value, expected)
        case "differs":
            return not _is_same(value, expected)
        case "one_of":
            return any(_is_same(value, each) for each in expected)
        case "at_least":
            return type(value) is int and value >= expected
        case "at_most":
            return type(value) is int and value <= expected
        case "contains":
            return expected in str(value)
        case "lacks":
            return expected not in str(value)
        case "shows":
            return expected in finding.output
        case _:
            return expected not in finding.output


def _is_same(value: Value, expected: Value) -> bool:
    # True == 1 in Python, so the types are compared too.
    return type(value) is type(expected) and value == expected


def _badness(row: Experiment) -> int:
    return (Outcome.LOST, Outcome.FAILED, Outcome.NOT_RUN, Outcome.SKIPPED, Outcome.PASSED).index(row.outcome)
