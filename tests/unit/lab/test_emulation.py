# SPDX-License-Identifier: MIT
"""A lab with emulated guests prints a notice, unless emulation was requested."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.settings import load_settings
from vmlab.testing import FakeLab, FakeRig

_FALLEN = Verdict(accelerator=Accelerator.TCG, reason="there is no /dev/kvm")
_TRIED = Verdict(
    accelerator=Accelerator.TCG, reason="KVM was tried with …", steps=("-cpu host: printed nothing in 12 s",)
)
_ASKED = Verdict(accelerator=Accelerator.TCG, reason="asked for")
_KVM = Verdict(accelerator=Accelerator.KVM, cpu_model="host", reason="proved")


class _Rig(FakeRig):
    """A rig with the accelerator that this host is said to have."""

    @property
    def host_verdict(self) -> Verdict:
        return self.run.accelerators.verdict(self.image)


@pytest.mark.parametrize(
    ("target", "verdict", "told"),
    [
        ("debian12-6.1", _FALLEN, [f"guests are emulated, and slow: {_FALLEN.reason}"]),
        ("debian12-6.1", _TRIED, [f"guests are emulated, and slow: {_TRIED.short_reason}"]),
        ("debian12-6.1", _ASKED, []),
        ("debian12-6.1", _KVM, []),
        ("debian12-6.1+icount", _FALLEN, []),
    ],
)
def test_a_fall_to_emulation_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, verdict: Verdict, told: list[str]
) -> None:
    monkeypatch.delenv("RUNNER_ENVIRONMENT", raising=False)
    monkeypatch.setattr("vmlab.machine.accelerators.choose_accelerator", lambda *_, **__: verdict)
    notices: list[str] = []
    lab = FakeLab(load_settings({"target": target}, directory=tmp_path, environment={}), notice=notices.append)
    (chosen,) = lab.targets
    rig = _Rig(lab, chosen)
    _ = rig.image
    assert notices == told
    assert rig.provenance.accelerator == str(rig.accelerator.accelerator)
