# SPDX-License-Identifier: MIT
"""A lab whose guests are emulated says so, unless that is what was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.host.accelerator import Accelerator, Verdict
from vmlab.image.image import Image
from vmlab.lab.lab import Lab
from vmlab.settings import load_settings

_FALLEN = Verdict(accelerator=Accelerator.TCG, reason="there is no /dev/kvm")
_TRIED = Verdict(
    accelerator=Accelerator.TCG, reason="KVM was tried with …", steps=("-cpu host: printed nothing in 12 s",)
)
_ASKED = Verdict(accelerator=Accelerator.TCG, reason="asked for")
_KVM = Verdict(accelerator=Accelerator.KVM, cpu_model="host", reason="proved")


def _image() -> Image:
    nowhere = Path("/nonexistent")
    return Image(
        target_id="debian12-6.1",
        architecture=Architecture.AMD64,
        digest="0" * 20,
        seal="1" * 20,
        release="6.1.0-56-cloud-amd64",
        disk=nowhere,
        kernel=nowhere,
        initrd=nowhere,
        tool_root=nowhere,
        packages={},
        is_new=False,
        size_bytes=0,
        host_key="",
        user_key=nowhere,
    )


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
    lab = Lab(load_settings({"target": target}, directory=tmp_path, environment={}), notice=notices.append)
    monkeypatch.setattr(lab, "qemu_version", lambda _: "7.2.22")
    monkeypatch.setattr(lab, "image", lambda _: _image())
    (chosen,) = lab.targets
    lab._learn_image(chosen, _image(), "7.2.22", 0.0)
    assert notices == told
    assert lab.facts[target].provenance.accelerator == str(lab.accelerator(chosen).accelerator)
