# SPDX-License-Identifier: MIT
"""Fixtures of the hostile tests: an environment without user settings."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # xdist's names would make an inner run take itself for a worker of the outer one.
    for name in os.environ:
        if name.startswith(("VMLAB_", "PYTEST_XDIST_")):
            monkeypatch.delenv(name)
    # Set by GitHub runners: an inner run would print workflow commands to the log.
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    # An empty store, in case a test tries to use a real lab.
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))
