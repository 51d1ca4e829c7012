# SPDX-License-Identifier: MIT
"""Time limits scale with the accelerator and with the user's patience setting."""

from __future__ import annotations

from dataclasses import fields

from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import Limits, limits_for

_SAME_FOR_ALL = "room_s"
"""The wait for memory that other runs hold: it is theirs to return, whatever runs this guest."""


def _values(limits: Limits, *, but: str = "") -> list[float]:
    return [getattr(limits, field.name) for field in fields(limits) if field.name != but]


def test_every_limit_is_larger_under_emulation() -> None:
    kvm, tcg = limits_for(Accelerator.KVM), limits_for(Accelerator.TCG)
    ratios = {
        slow / fast for fast, slow in zip(_values(kvm, but=_SAME_FOR_ALL), _values(tcg, but=_SAME_FOR_ALL), strict=True)
    }
    assert len(ratios) == 1
    assert ratios.pop() >= 4


def test_an_emulated_boot_may_take_several_times_what_was_measured() -> None:
    assert limits_for(Accelerator.TCG).boot_s > 2 * 80


def test_patience_multiplies_every_limit() -> None:
    once, thrice = limits_for(Accelerator.TCG), limits_for(Accelerator.TCG, patience=3)
    assert _values(thrice) == [3 * value for value in _values(once)]
