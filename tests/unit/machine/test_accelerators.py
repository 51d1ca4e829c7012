# SPDX-License-Identifier: MIT
"""KVM that is lost after it was proved: the run goes on by emulation, and every result says why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from unit import fakes
from unit.report.results import facts
from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import HostError, KvmRefused
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.lab.lab import Lab, Running
from vmlab.lab.snapshots import Forks, Stage
from vmlab.machine.snapshot import Origin
from vmlab.settings import load_settings
from vmlab.store.store import StoredObject

TARGET = fakes.target("debian12-6.1")
_KVM = Verdict(accelerator=Accelerator.KVM, cpu_model="host", reason="proved")
_GONE = Verdict(accelerator=Accelerator.TCG, reason="there is no /dev/kvm")
_REFUSED = KvmRefused("QEMU was refused KVM: failed to initialize kvm: Permission denied")
_SNAPSHOT = StoredObject(
    kind="snapshot", digest="0" * 20, path=Path("none"), inputs={}, facts={}, created=0.0, size_bytes=0, seal=""
)


class _Lab(Lab):
    """Boots under the accelerator that it has, as often as QEMU is not refused it."""

    refusals = 0

    @contextlib.contextmanager
    def boot_once(self, target: Target, origin: Origin | None = None) -> Iterator[Running]:
        del origin
        accelerator = self.accelerator(target).accelerator
        if accelerator is Accelerator.KVM and self.refusals:
            self.refusals -= 1
            raise _REFUSED
        yield cast("Running", f"booted by {accelerator}")


class _Forks(Forks):
    """Forks under the accelerator that its lab has, unless QEMU is refused it."""

    def _obtain_once(self, target: Target, stage: Stage) -> StoredObject:
        with self.lab.boot_once(target):
            return _SNAPSHOT

    @contextlib.contextmanager
    def _fork(self, target: Target, snapshot: StoredObject) -> Iterator[Running]:
        yield cast("Running", f"forked by {self.lab.accelerator(target).accelerator}")


Make = Callable[..., _Lab]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """What the host says of KVM, the last word for ever."""
    verdicts = [_KVM]
    monkeypatch.setattr(
        "vmlab.machine.accelerators.choose_accelerator",
        lambda *_, **__: verdicts.pop(0) if len(verdicts) > 1 else verdicts[0],
    )
    monkeypatch.setattr("vmlab.machine.accelerators.native_architecture", lambda: Architecture.AMD64)
    return verdicts


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, notices: list[str], verdicts: list[Verdict]) -> Make:
    def make(accel: str = "auto", *, refusals: int = 0) -> _Lab:
        lab = _Lab(
            load_settings({"accel": accel, "store": str(tmp_path)}, directory=tmp_path, environment={}),
            notice=notices.append,
        )
        monkeypatch.setattr(lab, "qemu_version", lambda _: "7.2.22")
        monkeypatch.setattr(lab, "image", lambda _: fakes.image(tmp_path))
        lab.refusals = refusals
        lab.facts[TARGET.id] = facts()
        provenance = lab.facts[TARGET.id].provenance
        object.__setattr__(provenance, "accelerator", "kvm")
        object.__setattr__(provenance, "cpu_model", "host")
        return lab

    return make


def _boot(lab: _Lab) -> str:
    with lab.boot(TARGET) as running:
        return str(running)


def test_a_qemu_that_is_refused_kvm_goes_on_by_emulation_with_a_notice(make: Make, notices: list[str]) -> None:
    lab = make(refusals=1)

    assert [_boot(lab), _boot(lab)] == ["booted by tcg"] * 2

    reason = f"KVM was lost after it was proved: {_REFUSED.message}"
    assert notices == [f"guests are emulated from here on, and slow: {reason}"]
    provenance = lab.facts[TARGET.id].provenance
    assert (provenance.accelerator, provenance.accelerator_reason) == ("tcg", reason)
    assert provenance.cpu_model.startswith("max")


def test_a_fork_whose_qemu_is_refused_kvm_is_made_of_an_emulated_snapshot(make: Make, notices: list[str]) -> None:
    with _Forks(make(refusals=1)).fork(TARGET) as running:
        assert str(running) == "forked by tcg"

    assert len(notices) == 1


def test_who_demands_kvm_is_told_that_it_is_lost_in_one_line(make: Make, notices: list[str]) -> None:
    with pytest.raises(HostError) as caught:
        _boot(make("kvm", refusals=1))

    assert str(caught.value).startswith(f"KVM was asked for and cannot be had: {_REFUSED.message}")
    assert "\n" not in str(caught.value)
    assert notices == []


def test_a_device_that_is_lost_during_a_run_is_noticed_and_stays_lost(
    make: Make, notices: list[str], verdicts: list[Verdict]
) -> None:
    verdicts[:] = [_KVM, _GONE, _KVM]
    lab = make()

    assert [_boot(lab) for _ in range(3)] == ["booted by kvm", "booted by tcg", "booted by tcg"]

    reason = f"KVM was lost after it was proved: {_GONE.reason}"
    assert notices == [f"guests are emulated from here on, and slow: {reason}"]
    assert lab.facts[TARGET.id].provenance.accelerator_reason == reason


def test_kvm_that_was_never_had_is_no_loss(make: Make, notices: list[str], verdicts: list[Verdict]) -> None:
    verdicts[:] = [_GONE]

    assert _boot(make()) == "booted by tcg"

    assert notices == []
