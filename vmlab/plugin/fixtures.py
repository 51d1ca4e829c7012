# SPDX-License-Identifier: MIT
"""The fixtures that tests use, along dimensions that do not depend on each other. Each docstring tells scope and cost.

Which kernel
  target          the row of the matrix: the test runs once per chosen target
Whose guest
  guest           a fork of its own for this test
  shared_guest    one fork per target, replaced when dirty
  booted_guest    a real boot for this test alone
  any_guest       the test runs twice: on a booted guest of its own, and on a forked one
What is in it
  module          the module, built for the target; its sources and the .ko lie in /build of a forked guest
  loaded_module   the module, loaded in the guest that the test uses
  program         compiles a C program for the guest that the test uses, and copies it in
  perf_access     sets who may use perf in the guest that the test uses (in `perf.py`)
  one_processor   leaves an emulated guest one processor, for tests that switch the kernel's code while it runs
What it costs (in `timing.py`)
  stopwatch       times operations in a guest of the test's own, `timed_guest`, by the best source that is proved there
  series          keeps measurements for the result file

A fork begins at the latest snapshot that the test's fixtures ask for: *loaded* with `loaded_module`, *built* with
`module`, else *ready*.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vmlab.errors import hides_frames
from vmlab.plugin.current import session_of
from vmlab.plugin.needs import GUESTS

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target
    from vmlab.guest.guest import Guest
    from vmlab.lab.freezer import Stage
    from vmlab.lab.lab import Lab
    from vmlab.lab.machines import Running
    from vmlab.lab.testbed import Testbed
    from vmlab.module.build import Built
    from vmlab.plugin.shared import SharedGuest

__tracebackhide__ = hides_frames

STARTS = ("booted", "forked")
_ONE_PROCESSOR = "for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do [ ! -w $cpu ] || echo 0 >$cpu; done"


@pytest.fixture(scope="session")
def vmlab_lab(pytestconfig: pytest.Config) -> Lab:
    """The run's lab. Scope: session. Cost: none by itself."""
    return session_of(pytestconfig).lab


@pytest.fixture(scope="session")
def vmlab_target(request: pytest.FixtureRequest) -> Target:
    """What the plugin parametrizes every test with that uses a guest. Scope: session, once per target. Cost: none."""
    chosen: Target = request.param
    return chosen


@pytest.fixture(scope="session")
def vmlab_testbed(vmlab_lab: Lab, vmlab_target: Target) -> Testbed:
    """What the run has of the target: its image, boots, forks and builds. Scope: session, once per target. Cost: none
    by itself."""
    return vmlab_lab.testbed(vmlab_target)


@pytest.fixture
def vmlab_start(request: pytest.FixtureRequest) -> str:
    """What the plugin parametrizes tests with that use `any_guest`: booted, then forked. Scope: test. Cost: none."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def target(vmlab_target: Target) -> Target:
    """The row of the matrix that this test runs on. Scope: session, once per target. Cost: none."""
    return vmlab_target


@pytest.fixture(scope="session")
def vmlab_shared(pytestconfig: pytest.Config, vmlab_testbed: Testbed) -> Iterator[SharedGuest]:
    """The target's shared guest, not yet started. Scope: session, one per target. Cost: none until asked."""
    from vmlab.plugin.shared import SharedGuest

    with contextlib.closing(SharedGuest(vmlab_testbed)) as shared:
        session_of(pytestconfig).shared = shared
        yield shared
        session_of(pytestconfig).shared = None


@pytest.fixture
def guest(request: pytest.FixtureRequest, vmlab_testbed: Testbed) -> Iterator[Guest]:
    """A guest of this test's own, forked from the target's snapshot. Scope: test. Cost: a fork, about a second under
    TCG on two idle cores; for a target's first test, a boot as well."""
    with vmlab_testbed.fork(stage_for(request)) as running, lent(request, running):
        yield running.guest


@pytest.fixture
def shared_guest(request: pytest.FixtureRequest, vmlab_shared: SharedGuest) -> Iterator[Guest]:
    """A guest that all tests of a target with this fixture share. Scope: one per target; replaced by a fork when its
    kernel reported trouble or got an unexpected taint, when it hung, or was lost. Cost: a fork for the first test."""
    running = vmlab_shared.get(stage_for(request))
    session = session_of(request.config)
    session.lend(request.node, running, vmlab_shared)
    yield running.guest
    session.take_back(request.node, running.guest)


@pytest.fixture
def booted_guest(request: pytest.FixtureRequest, vmlab_testbed: Testbed) -> Iterator[Guest]:
    """A guest booted for this test alone. Scope: test. Cost: a boot, 11 to 105 s under TCG on two cores."""
    with vmlab_testbed.boot() as running, lent(request, running):
        yield running.guest


@pytest.fixture
def any_guest(request: pytest.FixtureRequest, vmlab_target: Target, vmlab_start: str) -> Guest:
    """A guest of this test's own: the test runs once on a booted and once on a forked one, and its id says which.
    Scope: test. Cost: a boot and a fork."""
    del vmlab_target  # what makes the test run once per target
    return _guest_named(request, "booted_guest" if vmlab_start == STARTS[0] else "guest")


@pytest.fixture
def module(vmlab_testbed: Testbed) -> Built:
    """The module of --vmlab-module, built for the target. Scope: test, one build per target. Cost: the build; seconds
    on the host, a minute in a guest under TCG, nothing from the cache."""
    return vmlab_testbed.built()


@pytest.fixture
def loaded_module(request: pytest.FixtureRequest, module: Built) -> Built:
    """The module, loaded with its default parameters in the guest that the test uses; `guest` when it names none.
    Scope: test. Cost: nothing in a fork, an `insmod` elsewhere. Fails when loading it makes the kernel report
    trouble."""
    from vmlab.errors import ModuleError
    from vmlab.module.load import insert, is_loaded

    where = used_guest(request)
    if not is_loaded(where, module.info.name):
        try:
            insert(where, module)
        except ModuleError as error:
            session_of(request.config).mark_dirty(request.node, error.message, where)
            raise
    return module


@pytest.fixture
def program(request: pytest.FixtureRequest, vmlab_testbed: Testbed) -> Callable[[str | Path], str]:
    """Compile a C program and copy it into the guest that the test uses; returns its path in the guest. A text names
    one among the module's sources, a `Path` one anywhere, with the headers that lie beside it. Scope: test. Cost: a
    compilation the first time, then a copy."""
    from vmlab.module.source import read_programs

    where = used_guest(request)

    def prepare(main: str | Path) -> str:
        tree = read_programs(main.parent) if isinstance(main, Path) else None
        name = main.name if isinstance(main, Path) else main
        compiled = vmlab_testbed.program(name, tree=tree)
        path = f"/tmp/{Path(name).stem}-{compiled.parent.name}"
        if not where.root(f"[ -x {path} ]").ok:
            where.put(compiled, path)
        return path

    return prepare


@pytest.fixture
def one_processor(request: pytest.FixtureRequest) -> None:
    """Leave the guest that the test uses one processor where it is emulated, as long as it lives: for tests of perf,
    tracepoints or kprobes, which switch the kernel's code while it runs. QEMU's emulation of several processors may
    keep running the old code (docs/trouble.md). Scope: test. Cost: a command; under KVM nothing."""
    where = used_guest(request)
    if where.is_emulated:
        where.as_root(_ONE_PROCESSOR)


def stage_for(request: pytest.FixtureRequest) -> Stage:
    """The latest snapshot that a test's fixtures ask for."""
    from vmlab.lab.freezer import Stage

    names = request.fixturenames
    return Stage.LOADED if "loaded_module" in names else Stage.BUILT if "module" in names else Stage.READY


def used_guest(request: pytest.FixtureRequest) -> Guest:
    """The guest that a test uses: the first of `GUESTS` that it names, `guest` when it names none."""
    names = request.fixturenames
    return _guest_named(request, next((name for name in GUESTS if name in names), GUESTS[0]))


def _guest_named(request: pytest.FixtureRequest, name: str) -> Guest:
    found: Guest = request.getfixturevalue(name)
    return found


@contextlib.contextmanager
def lent(request: pytest.FixtureRequest, running: Running) -> Iterator[None]:
    """A guest that is one test's own: its console is kept only when there is something to look for in it."""
    session = session_of(request.config)
    session.lend(request.node, running)
    yield
    session.take_back(request.node, running.guest)
    if running.is_fork and not session.has_failed(request.node):
        running.machine.console.path.unlink(missing_ok=True)
