# SPDX-License-Identifier: MIT
"""KVM that is lost after it was proved: the run continues with emulation, and every result gives the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from unit.lab.scripted import TARGET, Script, ScriptedTestbed
from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError, KvmRefused
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.settings import load_settings
from vmlab.testing import FakeLab, FakeRig

_KVM = Verdict(accelerator=Accelerator.KVM, cpu_model="host", reason="proved")
_GONE = Verdict(accelerator=Accelerator.TCG, reason="there is no /dev/kvm")
_REFUSED = KvmRefused("QEMU was refused KVM: failed to initialize kvm: Permission denied")


class _Rig(FakeRig):
    """A rig with the accelerator that this host is said to have."""

    @property
    def host_verdict(self) -> Verdict:
        return self.run.accelerators.verdict(self.image)


Make = Callable[..., ScriptedTestbed]


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """The host's KVM verdict in a list of one, which a test replaces."""
    verdicts = [_KVM]
    monkeypatch.setattr(
        "vmlab.machine.accelerators.choose_accelerator",
        lambda *_, **__: verdicts[0],
    )
    monkeypatch.setattr("vmlab.machine.accelerators.native_architecture", lambda: Architecture.AMD64)
    return verdicts


@pytest.fixture
def make(tmp_path: Path, notices: list[str], verdicts: list[Verdict]) -> Make:
    def make(accel: str = "auto", *, refusals: int = 0) -> ScriptedTestbed:
        settings = load_settings({"accel": accel, "store": str(tmp_path)}, directory=tmp_path, environment={})
        lab, script = FakeLab(settings, notice=notices.append), Script()
        script.boots, script.snapshots = [_REFUSED] * refusals, [_REFUSED] * refusals
        return ScriptedTestbed(lab, _Rig(lab, TARGET), script)

    return make


def test_a_qemu_that_is_refused_kvm_goes_on_by_emulation_with_a_notice(make: Make, notices: list[str]) -> None:
    testbed = make(refusals=1)

    assert [testbed.start_anew(), testbed.start_anew()] == ["boot by tcg"] * 2

    reason = f"KVM was lost after it was proved: {_REFUSED.message}"
    assert notices == [f"guests are emulated from now on, which is slow: {reason}"]
    provenance = testbed.rig.provenance
    assert (provenance.accelerator, provenance.accelerator_reason) == ("tcg", reason)
    assert provenance.cpu_model.startswith("max")


def test_a_fork_whose_qemu_is_refused_kvm_is_made_of_an_emulated_snapshot(make: Make, notices: list[str]) -> None:
    assert make(refusals=1).start() == "fork by tcg"

    assert len(notices) == 1


def test_who_demands_kvm_is_told_that_it_is_lost_in_one_line(make: Make, notices: list[str]) -> None:
    with pytest.raises(HostError) as caught:
        make("kvm", refusals=1).start_anew()

    assert str(caught.value).startswith(f"KVM was requested but does not work: {_REFUSED.message}")
    assert "\n" not in str(caught.value)
    assert notices == []


def test_a_device_that_is_lost_during_a_run_is_noticed_and_stays_lost(
    make: Make, notices: list[str], verdicts: list[Verdict]
) -> None:
    testbed, found = make(), []

    for verdict in (_KVM, _GONE, _KVM):
        verdicts[:] = [verdict]
        found.append(testbed.start_anew())

    assert found == ["boot by kvm", "boot by tcg", "boot by tcg"]

    reason = f"KVM was lost after it was proved: {_GONE.reason}"
    assert notices == [f"guests are emulated from now on, which is slow: {reason}"]
    assert testbed.rig.provenance.accelerator_reason == reason


def test_kvm_that_was_never_had_is_no_loss(make: Make, notices: list[str], verdicts: list[Verdict]) -> None:
    verdicts[:] = [_GONE]

    assert make().start_anew() == "boot by tcg"

    assert notices == [f"guests are emulated, and slow: {_GONE.reason}"]
