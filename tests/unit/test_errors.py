# SPDX-License-Identifier: MIT
"""The errors say whose fault it is, in one line, and survive the trip between processes."""

from __future__ import annotations

import pickle

import pytest

from vmlab import errors
from vmlab.errors import BuildError, GuestError, MachineLost, ModuleError, UsageError, VmlabError, nearest


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
