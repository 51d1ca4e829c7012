# SPDX-License-Identifier: MIT
"""A claim holds, is contradicted, or is not shown, per kernel."""

from __future__ import annotations

import pytest

from builder.claim import Claim, State, standings
from builder.kernels import Finding, Kernel, Outcome, Value

from .samples import KEY, TEST, finding, kernel, kernels


def _state(found: Value, **relation: object) -> State:
    claim = Claim(finding=KEY, fact="call", **relation)  # type: ignore[arg-type]
    (row,) = standings(claim, [kernel("debian12-6.1", finding(call=found))], TEST)
    return row.state


@pytest.mark.parametrize(
    ("found", "relation", "holds"),
    [
        ("a", {"equals": "a"}, True),
        ("a", {"equals": "b"}, False),
        (1, {"equals": True}, False),
        (False, {"equals": False}, True),
        (0, {"equals": False}, False),
        ("1", {"equals": 1}, False),
        ("a", {"differs": "b"}, True),
        ("a", {"differs": "a"}, False),
        (3, {"at_least": 3}, True),
        (2, {"at_least": 3}, False),
        ("3", {"at_least": 3}, False),
        (3, {"at_most": 3}, True),
        (4, {"at_most": 3}, False),
        ("a > b", {"contains": "> b"}, True),
        ("a > b", {"contains": "> c"}, False),
        ("a > b", {"lacks": "> c"}, True),
        ("a > b", {"lacks": "> b"}, False),
        ("a", {"one_of": ("a", "b")}, True),
        ("c", {"one_of": ("a", "b")}, False),
    ],
)
def test_each_relation_holds_or_is_contradicted(found: Value, relation: dict[str, object], holds: bool) -> None:
    assert _state(found, **relation) is (State.HOLDS if holds else State.CONTRADICTED)


@pytest.mark.parametrize(("shows", "holds"), [("finit", True), ("init_module(5)", False)])
def test_a_claim_may_be_about_the_output(shows: str, holds: bool) -> None:
    (row,) = standings(Claim(finding=KEY, shows=shows), [kernel("debian12-6.1", finding())], TEST)
    (other,) = standings(Claim(finding=KEY, hides=shows), [kernel("debian12-6.1", finding())], TEST)
    assert (row.state is State.HOLDS, other.state is State.HOLDS) == (holds, not holds)


def test_sameness_is_over_all_kernels_that_are_meant() -> None:
    both = kernels({"debian11-5.10": "a", "debian12-6.1": "b"})
    same = Claim(finding=KEY, fact="call", same=True)
    assert {row.state for row in standings(same, both, TEST)} == {State.CONTRADICTED}
    assert {row.state for row in standings(same, both[:1], TEST)} == {State.HOLDS}
    assert {row.state for row in standings(Claim(finding=KEY, fact="call", same=False), both, TEST)} == {State.HOLDS}


def test_lines_are_numbers_and_not_letters() -> None:
    all_four = kernels(dict.fromkeys(("debian11-5.10", "debian12-6.1", "debian13-6.12", "debian13-7.3"), "a"))
    meant = Claim(finding=KEY, fact="call", equals="a", since="6.1", before="7.0")
    assert [row.kernel.name for row in standings(meant, all_four, TEST)] == ["6.1", "6.12"]
    older = Claim(finding=KEY, fact="call", equals="a", before="6.1")
    assert [row.kernel.name for row in standings(older, all_four, TEST)] == ["5.10"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SKIPPED, Outcome.LOST, Outcome.NOT_RUN])
def test_what_did_not_pass_shows_nothing_and_says_why(outcome: Outcome) -> None:
    broken = kernel("debian12-6.1", finding(call="a"), outcome=outcome, reason="no ftrace")
    (row,) = standings(Claim(finding=KEY, fact="call", equals="a"), [broken], TEST)
    assert (row.state, row.seen) == (State.UNSHOWN, f"{outcome}: no ftrace")


@pytest.mark.parametrize("silent", [kernel("debian12-6.1"), kernel("debian12-6.1", finding(other="a"))])
def test_a_test_that_passed_and_kept_nothing_of_it_contradicts(silent: Kernel) -> None:
    (row,) = standings(Claim(finding=KEY, fact="call", equals="a"), [silent], TEST)
    assert row.state is State.CONTRADICTED


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"fact": "call"}, "this one has []"),
        ({"fact": "call", "equals": "a", "contains": "a"}, "'equals', 'contains'"),
        ({"equals": "a"}, "without a fact"),
        ({"fact": "call", "shows": "a"}, "with a fact"),
        ({"fact": "call", "equals": "a", "since": "6"}, "not a kernel's line: '6'"),
    ],
)
def test_a_claim_that_claims_nothing_is_refused(keys: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=KEY if "line" not in word else "line") as caught:
        Claim(finding=KEY, **keys)  # type: ignore[arg-type]
    assert word in str(caught.value)


def test_a_claim_on_what_only_some_guests_show_is_not_contradicted_by_another_finding_in_its_place() -> None:
    other = Finding(key="load.other", command="insmod", output="", facts={})
    machine = kernel("debian12-6.1", other)
    states = [
        standings(Claim(finding=KEY, fact="call", equals="a", if_kept=if_kept), [machine], TEST)[0].state
        for if_kept in (False, True)
    ]
    assert states == [State.CONTRADICTED, State.UNSHOWN]
    (wrong,) = standings(
        Claim(finding=KEY, fact="call", equals="a", if_kept=True), [kernel("debian12-6.1", finding(call="b"))], TEST
    )
    assert wrong.state is State.CONTRADICTED
