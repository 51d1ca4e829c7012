# SPDX-License-Identifier: MIT
"""Tests that the module builds, loads, unloads and loads again; a kernel report fails these tests as any other.

A module that cannot be unloaded by design fails these tests.
"""

from __future__ import annotations

from vmlab.guest.guest import Guest
from vmlab.module.build import Built
from vmlab.module.load import insert, is_loaded, remove


def test_builds_and_loads(guest: Guest, loaded_module: Built) -> None:
    assert is_loaded(guest, loaded_module.info.name)


def test_unloads_and_loads_again(guest: Guest, loaded_module: Built) -> None:
    name = loaded_module.info.name
    remove(guest, name)
    assert not is_loaded(guest, name)
    insert(guest, loaded_module)
    assert is_loaded(guest, name)
