# SPDX-License-Identifier: MIT
"""The file of advice: valid, within its limit, found by every name, and forms that a proof can build."""

from __future__ import annotations

from pathlib import Path

import pytest
from apimap.prove import Sides, program, sides

from vmlab.api.advice import MOST_FACTS, Advice, AdviceBook, read_advice
from vmlab.api.data import own_advice
from vmlab.errors import UsageError

_TARGETS = ("debian11-5.10", "debian12-6.1", "debian13-6.12", "debian13-7.3")


def _fact(release: str, *, name: str = "old_name", also: tuple[str, ...] = ()) -> Advice:
    return Advice(
        name=name,
        also=also,
        release=release,
        commit="0123456789ab",
        instead="new",
        old="old_name();",
        new="new_name();",
    )


def test_the_file_is_valid_and_within_its_limit() -> None:
    facts = own_advice().facts

    assert 50 <= len(facts) <= MOST_FACTS
    assert len({fact.name for fact in facts}) == len(facts)


@pytest.mark.parametrize("fact", own_advice().facts, ids=lambda fact: fact.name)
def test_every_fact_has_default_targets_on_both_sides(fact: Advice) -> None:
    assert sides(fact, _TARGETS) is not None


def test_the_nearest_targets_are_chosen() -> None:
    assert sides(_fact("6.2"), _TARGETS) == Sides(before="debian12-6.1", after="debian13-6.12")
    assert sides(_fact("6.1"), _TARGETS) == Sides(before="debian11-5.10", after="debian12-6.1")
    assert sides(_fact("5.10"), _TARGETS) is None


def test_the_advice_is_the_newest_change_that_a_line_has() -> None:
    book = AdviceBook([_fact("6.4"), _fact("6.8")])

    assert [book.about("old_name", line) for line in ("6.12", "6.5", "5.10")] == [book.facts[n] for n in (1, 0, 0)]
    assert book.about("other", "6.12") is None


def test_a_fact_is_found_by_the_new_name_too() -> None:
    book = AdviceBook([_fact("6.4", also=("new_name",))])

    assert book.about("new_name", "5.10") == book.facts[0]


def test_the_guarded_program_has_both_forms_and_the_release() -> None:
    text = program(_fact("6.4"), "both")

    guard = "#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)\nnew_name();\n#else\nold_name();\n#endif"
    assert guard in text
    assert "new_name" not in program(_fact("6.4"), "old")


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("commit", "xyz", "commit must have 12"),
        ("release", "6.4.1", "release must be like 6.8"),
        ("more", "1", "unknown"),
    ],
)
def test_an_invalid_fact_is_one_line_with_file_and_name(tmp_path: Path, key: str, value: str, words: str) -> None:
    rows = {"name": "f", "release": "6.4", "commit": "0" * 12, "instead": "g", "old": "f", "new": "g"} | {key: value}
    file = tmp_path / "advice.toml"
    file.write_text("[[advice]]\n" + "".join(f'{name} = "{text}"\n' for name, text in rows.items()), encoding="utf-8")

    with pytest.raises(UsageError, match=words):
        read_advice(file)


def test_too_many_facts_are_refused(tmp_path: Path) -> None:
    row = '[[advice]]\nname = "f"\nrelease = "6.4"\ncommit = "012345678901"\ninstead = "g"\nold = "f"\nnew = "g"\n'
    file = tmp_path / "advice.toml"
    file.write_text(row * (MOST_FACTS + 1), encoding="utf-8")

    with pytest.raises(UsageError, match="at most 150"):
        read_advice(file)
