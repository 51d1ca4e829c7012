# SPDX-License-Identifier: MIT
"""Time limits of each kind of connection to a guest."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from unit.fakes import FakeTransport, image
from vmlab.errors import HostError, MachineLost
from vmlab.guest import connect as reach
from vmlab.guest.fork_check import ForkUnproved
from vmlab.guest.ssh import SshTransport
from vmlab.guest.ssh_session import Direction, Session
from vmlab.guest.transport import CommandTooSlow, TransportLost
from vmlab.host.accelerator import PROOF_TIMEOUT_S, Accelerator
from vmlab.host.limits import limits_for
from vmlab.image.keys import make_keys
from vmlab.machine.argv import machine_spec
from vmlab.machine.machine import Machine
from vmlab.settings import load_settings
from vmlab.testing import FakeLab

_LIMITS = limits_for(Accelerator.TCG, patience=3)
_SESSION = Session(
    session_id="00",
    remote_version="SSH-2.0-OpenSSH_9.2p1",
    is_strict=True,
    out=Direction(key="00", nonce="00"),
    into=Direction(key="00", nonce="00"),
)


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


@pytest.fixture
def line() -> Iterator[socket.socket]:
    """The host's end of a port."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours


def test_a_fork_that_does_not_continue_its_session_is_not_proved(
    tmp_path: Path, line: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> SshTransport:
        raise TransportLost("the guest's answer is not of this session")

    machine = _machine(tmp_path)
    monkeypatch.setattr(reach, "continue_session", refuse)
    monkeypatch.setattr(machine, "require_alive", lambda: None)
    machine.session_line = line

    with pytest.raises(ForkUnproved, match="the guest's answer is not of this session"):
        reach.resume_session(machine, _SESSION, _LIMITS)


def test_a_fork_whose_kernel_has_panicked_is_lost_not_unproved(
    tmp_path: Path, line: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> SshTransport:
        raise CommandTooSlow("no answer")

    def panicked() -> None:
        raise MachineLost("the kernel panicked")

    machine = _machine(tmp_path)
    monkeypatch.setattr(reach, "continue_session", refuse)
    monkeypatch.setattr(machine, "require_alive", panicked)
    machine.session_line = line

    with pytest.raises(MachineLost, match="panicked"):
        reach.resume_session(machine, _SESSION, _LIMITS)
