# SPDX-License-Identifier: MIT
"""What the experiments share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.guest.guest import Guest

from .finding import FindingsFile, Note, noting
from .perf_row import Rows

_HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--findings", type=Path, metavar="FILE", help="keep what the experiments in tests/kernel show")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--findings", default=None)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FindingsFile(path.absolute()), "findings")


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Note:
    """Keeps what an experiment shows for the pages in docs/explain/. Scope: test. Cost: none."""
    return noting(request.node)


@pytest.fixture
def rows(shared_guest: Guest, program: Callable[[Path], str]) -> Rows:
    """`perf_open`: the errno of each operation, tried by an ordinary user, by one with CAP_PERFMON, or by root."""
    return Rows(shared_guest, program(_HERE / "perf_open.c"))


@pytest.fixture
def busy_path(shared_guest: Guest, program: Callable[[Path], str]) -> str:
    """Where `busy` lies in the guest."""
    return program(_HERE / "busy.c")
