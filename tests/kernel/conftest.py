# SPDX-License-Identifier: MIT
"""What the experiments share."""

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
    """A run for the pages leaves out what keeps nothing for them; `nox -s tests` has it."""
    if config.getoption("--findings", default=None) is None:
        return
    left_out = without_findings(items, _HERE)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture
def finding(request: pytest.FixtureRequest) -> Note:
    """Keeps what an experiment shows for the pages in docs/explain/. Scope: test. Cost: none."""
    return noting(request.node)


@pytest.fixture
def rows(shared_guest: Guest, program: Callable[[Path], str]) -> Rows:
    """`perf_open`: the errno of each operation, tried by an ordinary user, by one with CAP_PERFMON, or by root."""
    return Rows(shared_guest, program(_HERE / "perf_open.c"))


@pytest.fixture
def perf_in_use(shared_guest: Guest) -> None:
    """Somebody measures something in the guest as long as it lives. Scope: one per guest. Cost: `perf stat`, once.

    The kernel writes nops over its calls of perf when the last event is closed, and calls when the first is opened
    (the static key perf_sched_events). Each time costs a guest under TCG its translated code, and 7.3 was once seen to
    panic over the breakpoint that stands there meanwhile: "Oops: int3" in __schedule().
    """
    mark = "/run/vmlab-perf-in-use"
    measure = "setsid perf stat -e cpu-clock:u -o /dev/null sleep 3600 </dev/null >/dev/null 2>&1"
    shared_guest.as_root(f"[ -e {mark} ] || {{ touch {mark}; {measure} & }}")


@pytest.fixture
def busy_path(shared_guest: Guest, program: Callable[[Path], str]) -> str:
    """Where `busy` lies in the guest."""
    return program(_HERE / "busy.c")


@pytest.fixture
def start(shared_guest: Guest, busy_path: str) -> Iterator[Start]:
    """Starts `busy` in the background as the ordinary user; returns the two ids it prints. Ended after the test."""
    processes = Processes(shared_guest, busy_path)
    yield processes.start
    processes.end()


@pytest.fixture(scope="session")
def workshop(vmlab_lab: Lab, vmlab_target: Target) -> Iterator[Workshop]:
    """Builds `smallest` for the target, with its own compiler and with another. Scope: session, once per target. Cost:
    one to two seconds a build; on hosts where modules are built in a guest, a fork and more."""
    with open_workshop(vmlab_lab, vmlab_target) as opened:
        yield opened


@pytest.fixture
def bring(request: pytest.FixtureRequest, tmp_path: Path) -> Bring:
    """Lays a .ko into the guest that the test uses. Scope: test. Cost: a copy each time."""
    guest = used_guest(request)

    def act(ko: bytes, name: str = "smallest.ko") -> str:
        (tmp_path / name).write_bytes(ko)
        guest.put(tmp_path / name, f"/tmp/{name}")
        return f"/tmp/{name}"

    return act


@pytest.fixture(scope="session")
def kit(vmlab_testbed: Testbed) -> Kit:
    """The modules that the experiments load, built for the target. Cost: nothing from the store, else half a minute."""
    return obtain_kit(vmlab_testbed)


@pytest.fixture
def bench(shared_guest: Guest, kit: Kit) -> Iterator[Bench]:
    """The shared guest with the experiments' modules in it, none of them loaded, and none after the test. Cost: a copy,
    the first time in a guest, and a command."""
    bench = Bench(shared_guest, kit)
    yield bench
    if not shared_guest.is_lost:
        bench.clear()
