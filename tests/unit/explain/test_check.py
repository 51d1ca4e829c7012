# SPDX-License-Identifier: MIT
"""Statements without a reference, or contradicted by the data, are refused; gaps are reported."""

from __future__ import annotations

import pytest

from builder.check import gaps, require_shown
from builder.claim import Claim
from builder.kernels import Kernel, Outcome
from builder.source import Source
from vmlab.errors import UsageError

from .samples import KEY, finding, kernel, kernels, question, statement

_TODAY = kernels({"debian11-5.10": "finit_module", "debian12-6.1": "finit_module"})


def _refusal(*answer: object, on: tuple[Kernel, ...] = _TODAY) -> str:
    with pytest.raises(UsageError) as caught:
        require_shown([question(*answer)], on)  # type: ignore[arg-type]
    return str(caught.value)


def test_what_the_data_show_stands() -> None:
    require_shown([question()], _TODAY)


def test_a_statement_with_neither_finding_nor_source_is_refused() -> None:
    assert "it rests on neither a finding nor a source" in _refusal(statement())


def test_a_statement_with_a_source_alone_stands() -> None:
    require_shown([question(statement(told_by=(Source(file="kernel/module/main.c"),)))], _TODAY)


def test_a_statement_that_one_kernel_contradicts_is_refused_with_what_was_seen() -> None:
    changed = kernels({"debian11-5.10": "finit_module", "debian12-6.1": "init_module"})
    refusal = _refusal(on=changed)
    assert "load.call on 6.1: call equals 'finit_module', and it is init_module" in refusal
    assert "on 5.10" not in refusal


def test_a_source_does_not_save_a_statement_that_is_contradicted() -> None:
    claim = Claim(finding=KEY, fact="call", equals="other")
    assert "and it is finit_module" in _refusal(statement(shown_by=(claim,), told_by=(Source(file="a/b.c"),)))


def test_a_remark_is_a_statement_too() -> None:
    with pytest.raises(UsageError, match="1 thing does not stand"):
        require_shown([question(remark=(statement(),))], _TODAY)


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        (Claim(finding="load.other", fact="call", equals="a"), "'load.other' is no experiment on the page"),
        (Claim(finding=KEY, fact="call", equals="a", since="9.0"), "no kernel is meant"),
        (Claim(finding=KEY, fact="cell", equals="a"), "no such fact; there are: call"),
    ],
)
def test_a_claim_that_nothing_could_contradict_is_refused(claim: Claim, word: str) -> None:
    assert word in _refusal(statement(shown_by=(claim,)))


def test_one_kernel_that_failed_takes_nothing_from_the_others() -> None:
    broken = kernel("debian12-6.1", outcome=Outcome.FAILED, reason="no ftrace")
    require_shown([question()], (_TODAY[0], broken))
    (gap,) = gaps([question()], (_TODAY[0], broken))
    assert (gap.kernel.name, gap.absence.reason, gap.is_fault) == ("6.1", "no ftrace", True)


def test_a_statement_that_no_kernel_shows_any_more_is_refused() -> None:
    broken = kernel("debian12-6.1", outcome=Outcome.FAILED, reason="no ftrace")
    assert "no kernel shows it any more" in _refusal(on=(broken,))


def test_a_skip_is_a_gap_and_no_fault() -> None:
    skipped = kernel("debian12-6.1", outcome=Outcome.SKIPPED, reason="lockdown is off")
    (gap,) = gaps([question()], (_TODAY[0], skipped))
    assert not gap.is_fault


def test_a_kernel_that_an_experiment_is_not_about_is_a_gap_and_no_fault() -> None:
    silent = kernel("debian12-6.1")
    (gap,) = gaps([question()], (_TODAY[0], silent))
    assert (gap.absence.outcome, gap.is_fault) == (Outcome.PASSED, False)


def test_a_test_that_was_renamed_is_named() -> None:
    renamed = kernel("debian12-6.1", finding(call="finit_module"), test="tests/kernel/test_load.py::test_other")
    assert "load.call is kept by tests/kernel/test_load.py::test_other, and not by" in _refusal(on=(renamed,))


def test_a_kernel_on_which_the_test_was_not_even_collected_is_a_fault() -> None:
    other = kernel("debian12-6.1", test="tests/kernel/test_load.py::test_other")
    (gap,) = gaps([question()], (_TODAY[0], other))
    assert (gap.absence.outcome, gap.is_fault) == (Outcome.NOT_RUN, True)
