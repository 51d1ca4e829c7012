# SPDX-License-Identifier: MIT
"""A cloud image on a local publisher, for the download tests, which use no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from publisher import Publisher

from unit.cloud.offers import Offered, offered


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove proxy settings, because a proxy cannot reach loopback."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Offered]:
    """An image that is offered and locked, but not downloaded yet."""
    with Publisher() as publisher:
        yield offered(publisher, tmp_path)
