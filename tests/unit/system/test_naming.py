# SPDX-License-Identifier: MIT
"""A message about a target starts with its name, exactly once."""

from __future__ import annotations

import pytest

from vmlab.system.naming import told_of


@pytest.mark.parametrize(
    ("name", "parts", "told"),
    [
        ("debian12-6.1-rt", ("making the image",), "debian12-6.1-rt: making the image"),
        ("debian12-6.1-rt", ("debian12-6.1-rt: making the image",), "debian12-6.1-rt: making the image"),
        ("debian12-6.1", ("debian12-6.1 is broken: 3 tests",), "debian12-6.1 is broken: 3 tests"),
        ("debian12-6.1", ("tried again", "debian12-6.1: it went"), "debian12-6.1: tried again: it went"),
        ("debian12-6.1+icount", ("debian12-6.1: no package",), "debian12-6.1+icount: no package"),
        # Another target's name stays, as does the suite's, which is not the target's.
        ("debian12-6.1", ("debian12-6.1-rt: no package",), "debian12-6.1: debian12-6.1-rt: no package"),
        ("debian12-6.1", ("debian12: making the suite's base",), "debian12-6.1: debian12: making the suite's base"),
    ],
)
def test_the_name_stands_in_front_once(name: str, parts: tuple[str, ...], told: str) -> None:
    assert told_of(name, *parts) == told
