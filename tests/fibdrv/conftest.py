# SPDX-License-Identifier: MIT
"""Fixtures shared by the fibdrv tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built
from vmlab.module.load import carry

from .probe import Probe


@pytest.fixture
def probe_path(program: Callable[[str], str]) -> str:
    """Path of `fibprobe` in the guest, independent of the module being loaded."""
    return program("test/fibprobe.c")


@pytest.fixture
def probe(shared_guest: Guest, loaded_module: Built, probe_path: str) -> Probe:
    """`fibprobe` in a guest with the module loaded."""
    del loaded_module
    return Probe(shared_guest, probe_path)


@pytest.fixture
def unloaded_module(shared_guest: Guest, module: Built) -> Iterator[str]:
    """Path in the guest of a module for the test to load; the module is unloaded after the test."""
    unload = f"if grep -q '^{module.info.name} ' /proc/modules; then rmmod {module.info.name}; fi"
    shared_guest.as_root(unload)
    yield carry(shared_guest, module)
    shared_guest.as_root(unload)
