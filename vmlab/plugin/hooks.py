# SPDX-License-Identifier: MIT
"""The hooks that vmlab adds to pytest's, for a conftest.py or a plugin to implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vmlab.context import Say
    from vmlab.lab.lab import Lab
    from vmlab.settings import Settings


@pytest.hookspec(firstresult=True)
def pytest_vmlab_make_lab(settings: Settings, progress: Say, notice: Say) -> Lab | None:
    """Return the lab of this run, or None for the real one; `vmlab.testing.FakeLab` has one without machines."""
