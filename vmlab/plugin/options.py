# SPDX-License-Identifier: MIT
"""Check of the names of the lab's options: pytest rejects an unknown one without the nearest name."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import pytest

from vmlab.errors import nearest
from vmlab.settings import SETTINGS
from vmlab.text import printable

_PREFIX = "--vmlab-"


def check_names(arguments: Sequence[str]) -> None:
    """Raise `pytest.UsageError` for the first option of pytest's command line that looks like the lab's and is none."""
    known = [setting.option for setting in SETTINGS]
    for word in takewhile(lambda word: word != "--", arguments):
        name = word.partition("=")[0]
        if name.startswith(_PREFIX) and name not in known:
            listing = "pytest --help"
            raise pytest.UsageError(
                f"vmlab: unknown option {printable(name)} ({nearest(name, known, listing=listing)})"
            )
