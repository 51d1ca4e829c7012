# SPDX-License-Identifier: MIT
"""The errors say whose fault it is, in one line, and survive the trip between processes."""

from __future__ import annotations

import pickle

import pytest

from vmlab import errors
from vmlab.errors import BuildError, GuestError, MachineLost, ModuleError, UsageError, VmlabError, nearest, some


def test_the_hint_follows_the_message_and_the_evidence_stands_below() -> None:
    error = UsageError("no such thing 'x'", hint="try 'y'", detail="a\nb\n")
    assert str(error) == "no such thing 'x' (try 'y')\na\nb"
    assert error.one_line == "no such thing 'x' (try 'y')"


def test_a_plain_error_is_its_message() -> None:
    assert str(UsageError("no")) == "no"


def test_a_lost_machine_is_no_module_error_and_the_other_way_round() -> None:
    assert not issubclass(MachineLost, ModuleError)
    assert issubclass(BuildError, ModuleError)
    assert issubclass(GuestError, ModuleError)
    assert not issubclass(ModuleError, MachineLost)


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VmlabError)]
)
def test_every_error_survives_pickling_whole(kind: type[VmlabError]) -> None:
    there = kind("what", hint="next", detail="seen")
    back = pickle.loads(pickle.dumps(there))
    assert type(back) is kind
    assert (back.message, back.hint, back.detail) == ("what", "next", "seen")
    assert str(back) == str(there)


def test_the_nearest_word_is_named() -> None:
    assert nearest("kmv", ["auto", "kvm", "tcg"]) == "did you mean 'kvm'?"


def test_all_words_are_named_when_none_is_near() -> None:
    assert nearest("zzz", ["tcg", "auto"]) == "known: auto, tcg"
    assert nearest("zzz", []) == "there are none"


_MANY = [f"debian{suite}-{line}" for suite in (11, 12, 13) for line in ("5.10", "6.1", "6.12")]


def test_of_many_words_the_three_nearest_are_named_and_the_command_that_lists_all() -> None:
    hint = nearest("fedora-6.12", _MANY, listing="vmlab targets")

    assert hint.startswith("the nearest of 9: ")
    assert hint.endswith("; `vmlab targets` lists all")
    assert [name for name in _MANY if f"{name}," in hint or f"{name};" in hint] == [
        "debian11-6.12",
        "debian12-6.12",
        "debian13-6.12",
    ]


def test_a_word_close_to_one_of_many_names_that_one() -> None:
    assert nearest("debain12-6.1", _MANY, listing="vmlab targets") == "did you mean 'debian12-6.1'?"


def test_an_empty_word_still_names_three_of_many() -> None:
    assert nearest("", _MANY).count(",") == 2


def test_a_handful_of_names_is_listed_and_many_are_counted() -> None:
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(str(number) for number in range(20)) == "0, 1, 2 and 17 more"
