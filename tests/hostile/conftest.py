# SPDX-License-Identifier: MIT
"""Fixtures of the attacks: an environment without user settings, and for an attack without a guest an empty store."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmlab.plugin.timing import PLACE


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # xdist's names would make an inner run take itself for a worker of the outer one.
    for name in os.environ:
        if name.startswith(("VMLAB_", "PYTEST_XDIST_")):
            monkeypatch.delenv(name)
    # Set by GitHub runners: an inner run would print workflow commands to the log.
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if "vmlab_target" in request.fixturenames:
        return
    # In case a test tries to use a real lab.
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("VMLAB_MIRROR", "http://mirror.invalid/debian")
    # No guest runs here, so no run needs to wait for another that holds the host.
    monkeypatch.setenv(PLACE, "held")
