# SPDX-License-Identifier: MIT
"""A fake host for choosing an accelerator."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.host.fake_qemu import Host
from vmlab.host.accelerator import qemu_version


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    (tmp_path / "kvm").touch()
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    qemu_version.cache_clear()
    return Host(tmp_path)
