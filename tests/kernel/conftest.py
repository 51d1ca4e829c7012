# SPDX-License-Identifier: MIT
"""Fixtures shared by the experiments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.guest.guest import Guest
from vmlab.lab.lab import Lab
from vmlab.lab.testbed import Testbed
from vmlab.plugin.fixtures import used_guest

from .bench import Bench
from .busy import Processes, Start
from .finding import FindingsFile, Note, noting, without_findings
from .kit import Kit, obtain_kit
from .perf_row import Rows
from .typed import Bring
from .workshop import Workshop, open_workshop

_HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--findings", type=Path, metavar="FILE", help="keep what the experiments in tests/kernel show")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--findings", default=None)
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(FindingsFile(path.absolute()), "findings")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect tests without findings in a run for the pages; `nox -s tests` runs them."""
    if config.getoption("--findings", default=None) is None:
        return
    left_out = without_findings(items, _HERE)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Note:
    """Store an experiment's result for the pages in docs/explain/. Scope: test. Cost: none."""
    return noting(request.node)


@pytest.fixture
def rows(shared_guest: Guest, program: Callable[[Path], str]) -> Rows:
    """`perf_open`: the errno of each operation, tried by an ordinary user, by one with CAP_PERFMON, and by root."""
    return Rows(shared_guest, program(_HERE / "perf_open.c"))


@pytest.fixture
def perf_in_use(shared_guest: Guest) -> None:
    """Keep a perf event open for the guest's lifetime. Scope: one per guest. Cost: `perf stat`, once.

    The kernel patches its calls of perf when the first event is opened and the last is closed (static key
    perf_sched_events). Each patch discards translated code under TCG. 7.3 once panicked over the temporary breakpoint:
    "Oops: int3" in __schedule().
    """
    mark = "/run/vmlab-perf-in-use"
    measure = "setsid perf stat -e cpu-clock:u -o /dev/null sleep 3600 </dev/null >/dev/null 2>&1"
    shared_guest.as_root(f"[ -e {mark} ] || {{ touch {mark}; {measure} & }}")


@pytest.fixture
def busy_path(shared_guest: Guest, program: Callable[[Path], str]) -> str:
    """Path of `busy` in the guest."""
    return program(_HERE / "busy.c")


@pytest.fixture
def start(shared_guest: Guest, busy_path: str) -> Iterator[Start]:
    """Start `busy` in the background as the ordinary user and return the two printed ids; ended after the test."""
    processes = Processes(shared_guest, busy_path)
    yield processes.start
    processes.end()


@pytest.fixture(scope="session")
def workshop(vmlab_lab: Lab, vmlab_target: Target) -> Iterator[Workshop]:
    """Build `smallest` for the target, with its own compiler and another one. Scope: session, once per target. Cost:
    one to two seconds per build; a fork and more on hosts that build modules in a guest."""
    with open_workshop(vmlab_lab, vmlab_target) as opened:
        yield opened


@pytest.fixture
def bring(request: pytest.FixtureRequest, tmp_path: Path) -> Bring:
    """Copy a .ko into the test's guest. Scope: test. Cost: a copy per call."""
    guest = used_guest(request)

    def act(ko: bytes, name: str = "smallest.ko") -> str:
        (tmp_path / name).write_bytes(ko)
        guest.put(tmp_path / name, f"/tmp/{name}")
        return f"/tmp/{name}"

    return act


@pytest.fixture(scope="session")
def kit(vmlab_testbed: Testbed) -> Kit:
    """The experiments' modules, built for the target. Cost: nothing when cached, otherwise half a minute."""
    return obtain_kit(vmlab_testbed)


@pytest.fixture
def bench(shared_guest: Guest, kit: Kit) -> Iterator[Bench]:
    """The shared guest with the experiments' modules, none loaded before and after the test. Cost: a copy once per
    guest, and a command."""
    bench = Bench(shared_guest, kit)
    yield bench
    if not shared_guest.is_lost:
        bench.clear()
