# SPDX-License-Identifier: MIT
"""Pytest hooks of vmlab, which a conftest.py or a plugin can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vmlab.context import Say
    from vmlab.lab.lab import Lab
    from vmlab.settings import Settings


@pytest.hookspec(firstresult=True)
def pytest_vmlab_make_lab(settings: Settings, progress: Say, notice: Say) -> Lab | None:
    """Return the lab of this run, or None for the real one; `vmlab.testing.FakeLab` makes one without machines."""
