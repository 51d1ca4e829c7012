# SPDX-License-Identifier: MIT
"""Each value is made once per run; a permanent failure is remembered too."""

from __future__ import annotations

import traceback
from collections.abc import Callable

import pytest

from vmlab.errors import AssetError, BuildError, MachineLost, VmlabError
from vmlab.system.once import LastingFault, Once


def _maker(*ends: str | VmlabError) -> tuple[Callable[[], str], list[str]]:
    left, calls = list(ends), []

    def make() -> str:
        calls.append("make")
        end = left.pop(0)
        if isinstance(end, VmlabError):
            raise end
        return end

    return make, calls


def test_a_thing_is_made_once() -> None:
    once = Once[str](BuildError)
    make, calls = _maker("first", "second")
    assert once.made is None
    assert [once.obtain(make), once.obtain(make)] == ["first", "first"]
    assert len(calls) == 1
    assert once.made == "first"


def test_a_lasting_fault_is_told_each_time_and_met_once() -> None:
    once = Once[str](AssetError, BuildError)
    make, calls = _maker(AssetError("gone", detail="404"), "never reached")
    depths = []
    for _ in range(4):
        with pytest.raises(AssetError, match="gone") as caught:
            once.obtain(make)
        depths.append(len(traceback.extract_tb(caught.tb)))
    assert calls == ["make"]
    assert max(depths[1:]) == min(depths[1:])
    assert once.made is None


def test_what_may_pass_is_tried_again() -> None:
    once = Once[str](AssetError)
    make, calls = _maker(MachineLost("QEMU ended"), "made")
    with pytest.raises(MachineLost):
        once.obtain(make)
    assert once.obtain(make) == "made"
    assert len(calls) == 2


def test_a_fault_that_is_exempt_is_not_remembered() -> None:
    fault = LastingFault(VmlabError, except_for=(MachineLost,))
    act, calls = _maker(MachineLost("QEMU ended"), AssetError("gone"), "never reached")
    for kind in (MachineLost, AssetError, AssetError):
        with pytest.raises(kind):
            fault.guard(act)
    assert len(calls) == 2
