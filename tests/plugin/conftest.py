# SPDX-License-Identifier: MIT
"""An environment without the user's own settings, and the inner run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vmlab.plugin.timing import PLACE

from .inner import Inner


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("VMLAB_"):
            monkeypatch.delenv(name)
    # A hosted runner's own: an inner run would print commands to it.
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    # Should a test reach for a real lab, it finds nothing there.
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("VMLAB_MIRROR", "http://mirror.invalid/debian")
    # No guest runs here, so no run waits for the place of another that has some.
    monkeypatch.setenv(PLACE, "held")


@pytest.fixture
def inner(pytester: pytest.Pytester) -> Inner:
    return Inner(pytester)
