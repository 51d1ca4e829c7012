# SPDX-License-Identifier: MIT
"""A host to choose an accelerator on."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.host.fake_qemu import Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "kvm").touch()
    return Host(tmp_path)
