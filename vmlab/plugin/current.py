# SPDX-License-Identifier: MIT
"""The session of the pytest run that is under way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vmlab.plugin.session import GuestSession

_SESSION = pytest.StashKey["GuestSession"]()


def session_of(config: pytest.Config) -> GuestSession:
    """This run's lab and what it found so far; made, with all its imports, when first asked for."""
    if _SESSION not in config.stash:
        from vmlab.plugin.session import GuestSession

        config.stash[_SESSION] = GuestSession(config)
    return config.stash[_SESSION]


def has_session(config: pytest.Config) -> bool:
    """True if something asked for the session already."""
    return _SESSION in config.stash
