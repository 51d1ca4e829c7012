# SPDX-License-Identifier: MIT
"""The session of the current pytest run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vmlab.plugin.session import GuestSession

_SESSION = pytest.StashKey["GuestSession"]()


def session_of(config: pytest.Config) -> GuestSession:
    """Return the run's session; the first call creates it and imports what it needs."""
    if _SESSION not in config.stash:
        from vmlab.plugin.session import GuestSession

        config.stash[_SESSION] = GuestSession(config)
    return config.stash[_SESSION]


def has_session(config: pytest.Config) -> bool:
    """True if the session exists."""
    return _SESSION in config.stash
