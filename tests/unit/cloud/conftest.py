# SPDX-License-Identifier: MIT
"""A cloud image on a publisher of its own, for the tests of fetching, which ask nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from publisher import Publisher

from unit.cloud.offers import Offered, offered


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host's proxy does not stand before what is on loopback."""
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Offered]:
    """An image that is offered and locked, and not fetched yet."""
    with Publisher() as publisher:
        yield offered(publisher, tmp_path)
