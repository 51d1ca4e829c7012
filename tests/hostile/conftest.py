# SPDX-License-Identifier: MIT
"""Fixtures of the attacks: an environment without user settings."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("VMLAB_", "PYTEST_XDIST_")):
            monkeypatch.delenv(name)
    # Set by GitHub runners: an inner run would print workflow commands to the log.
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
