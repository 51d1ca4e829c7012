# SPDX-License-Identifier: MIT
"""Time limits of each kind of connection to a guest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from unit.fakes import FakeTransport, image
from vmlab.errors import HostError
from vmlab.guest import connect as reach
from vmlab.host.accelerator import PROOF_TIMEOUT_S, Accelerator
from vmlab.host.limits import limits_for
from vmlab.image.keys import make_keys
from vmlab.machine.argv import machine_spec
from vmlab.machine.machine import Machine
from vmlab.settings import load_settings
from vmlab.testing import FakeLab

_LIMITS = limits_for(Accelerator.TCG, patience=3)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Arguments of each SSH connection."""
    asked: list[dict[str, Any]] = []

    def connect(*_: object, **options: Any) -> FakeTransport:
        asked.append(options)
        return FakeTransport()

    monkeypatch.setattr(reach, "connect", connect)
    return asked


def _machine(directory: Path) -> Machine:
    described = image(directory)
    spec = machine_spec(described, Accelerator.TCG, cpus=2, memory_mib=1024)
    keys = make_keys(directory)
    machine = Machine(described, spec, console=directory / "console", keys=keys)
    machine.line = None
    return machine


def test_root_of_a_boot_has_as_long_as_the_boot_and_later_ones_as_a_connection(
    tmp_path: Path, connected: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = _machine(tmp_path)
    monkeypatch.setattr(reach, "LineTransport", lambda _: FakeTransport())
    machine.line = object()  # type: ignore[assignment]
    open_root = reach.root_opener(machine, _LIMITS, has_root_shell=False)

    open_root()
    open_root()

    assert [each["timeout_s"] for each in connected] == [_LIMITS.boot_s, _LIMITS.connect_s]
    assert {each["step_timeout_s"] for each in connected} == {_LIMITS.connect_s}


def test_the_proof_of_kvm_has_more_time_with_more_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def choose(*_: object, timeout_s: float, **__: object) -> None:
        asked.append(timeout_s)
        raise HostError("enough seen")

    monkeypatch.setattr("vmlab.machine.accelerators.choose_accelerator", choose)
    lab = FakeLab(load_settings({"patience": "4"}, directory=tmp_path, environment={}))

    with pytest.raises(HostError, match="enough seen"):
        lab.accelerators.verdict(image(tmp_path))

    assert asked == [4 * PROOF_TIMEOUT_S]
