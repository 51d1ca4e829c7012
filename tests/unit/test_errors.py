# SPDX-License-Identifier: MIT
"""Errors show whose fault it is, in one line, and can be pickled between processes."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from dataclasses import dataclass

import pytest

import vmlab
from vmlab.errors import (
    BuildError,
    GuestError,
    KernelTrouble,
    MachineLost,
    ModuleError,
    UsageError,
    VmlabError,
    nearest,
    some,
)


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


def _all_kinds() -> list[type[VmlabError]]:
    """Every error class of the package, in any module."""
    for module in pkgutil.walk_packages(vmlab.__path__, "vmlab."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    kinds, waiting = [VmlabError], [VmlabError]
    while waiting:
        found = waiting.pop().__subclasses__()
        kinds += found
        waiting += found
    return [kind for kind in kinds if kind.__module__.startswith("vmlab.")]


@dataclass(frozen=True, slots=True)
class _Place:
    """A value for an attribute."""

    line: int


class _Own(KernelTrouble):
    """A user-defined error, with other constructor arguments than the lab's."""

    def __init__(self, place: _Place, *, kernel: str) -> None:
        super().__init__(f"trouble in {kernel}", hint="look there")
        self.place = place
        self.kernel = kernel


@pytest.fixture(params=_all_kinds(), ids=lambda kind: str(kind.__name__))
def kind(request: pytest.FixtureRequest) -> type[VmlabError]:
    found: type[VmlabError] = request.param
    return found


def test_every_error_survives_pickling_with_every_attribute(kind: type[VmlabError]) -> None:
    there = kind("what", hint="next", detail="seen")
    names = [name for name in {**vars(ModuleError), **vars(KernelTrouble)} if not name.startswith("_")]
    attributes = {"message": "what", "hint": "next", "detail": "seen"} | dict.fromkeys(names, "read.c:42")
    vars(there).update(attributes)
    there.add_note("kernel: WARNING at fs/read.c:42")

    back = pickle.loads(pickle.dumps(there))

    assert type(back) is kind
    assert vars(back) == {**attributes, "__notes__": ["kernel: WARNING at fs/read.c:42"]}
    assert (str(back), back.args) == (str(there), ("what",))


def test_the_tree_has_errors_of_more_than_one_module() -> None:
    assert {"vmlab.errors", "vmlab.lab.timed", "vmlab.plugin.shared"} <= {kind.__module__ for kind in _all_kinds()}


def test_an_error_with_arguments_and_attributes_of_its_own_survives_pickling() -> None:
    there = _Own(_Place(42), kernel="6.1")
    there.fingerprint = "0a1b2c3d"

    back = pickle.loads(pickle.dumps(there))

    assert (type(back), str(back)) == (_Own, "trouble in 6.1 (look there)")
    assert (back.place, back.kernel, back.fingerprint, back.source) == (_Place(42), "6.1", "0a1b2c3d", "")


@pytest.mark.parametrize("cause", [MachineLost("it went", detail="console"), OSError(28, "No space left on device")])
def test_the_cause_of_an_error_survives_pickling(cause: Exception) -> None:
    there = KernelTrouble("oops")
    there.__cause__ = cause

    back = pickle.loads(pickle.dumps(there))

    assert (type(back.__cause__), str(back.__cause__)) == (type(cause), str(cause))


class _Unreadable(Exception):
    def __init__(self, *, port: int) -> None:
        super().__init__(f"port {port}")


class _Unwritable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("cannot pickle it")


@pytest.mark.parametrize(
    "cause", [_Unreadable(port=22), _Unwritable("port 22")], ids=lambda cause: type(cause).__name__
)
def test_of_a_cause_that_cannot_be_pickled_the_words_survive(cause: Exception) -> None:
    there = KernelTrouble("oops")
    there.__cause__ = cause

    back = pickle.loads(pickle.dumps(there))

    assert str(back.__cause__) == f"{type(cause).__name__}: port 22"


def test_of_an_attribute_that_cannot_be_pickled_the_words_survive() -> None:
    there = _Own(_Place(42), kernel="6.1")
    there.place = lambda: 42  # type: ignore[assignment]

    back = pickle.loads(pickle.dumps(there))

    assert (back.kernel, back.message) == ("6.1", "trouble in 6.1")
    assert "lambda" in back.place


def test_an_error_retold_with_other_evidence_keeps_all_the_rest() -> None:
    there = _Own(_Place(42), kernel="6.1")
    there.fingerprint = "0a1b2c3d"
    there.add_note("seen twice")

    retold = there.retold(detail="it is in the log")

    assert (type(retold), retold.message, retold.hint) == (_Own, "trouble in 6.1", "look there")
    assert (retold.detail, there.detail) == ("it is in the log", "")
    assert (retold.place, retold.fingerprint, retold.__notes__) == (_Place(42), "0a1b2c3d", ["seen twice"])


def test_the_nearest_word_is_named() -> None:
    assert nearest("kmv", ["auto", "kvm", "tcg"]) == "did you mean 'kvm'?"


def test_all_words_are_named_when_none_is_near() -> None:
    assert nearest("zzz", ["tcg", "auto"]) == "known: auto, tcg"
    assert nearest("zzz", []) == "none is known"


_MANY = [f"debian{suite}-{line}" for suite in (11, 12, 13) for line in ("5.10", "6.1", "6.12")]


def test_of_many_words_the_three_nearest_are_named_and_the_command_that_lists_all() -> None:
    hint = nearest("fedora-6.12", _MANY, listing="vmlab targets")

    assert hint.startswith("nearest of 9: ")
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


def test_words_that_are_not_near_are_no_noise() -> None:
    assert nearest("zzz", _MANY, listing="vmlab targets") == "`vmlab targets` lists all 9"


def test_a_handful_of_names_is_listed_and_many_are_counted() -> None:
    assert some(["a", "b", "c"]) == "a, b, c"
    assert some(str(number) for number in range(20)) == "0, 1, 2 and 17 more"
