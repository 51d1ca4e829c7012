# SPDX-License-Identifier: MIT
"""The fixtures that tests use, in independent groups. Each docstring states scope and cost.

The kernel
  target          the row of the matrix: the test runs once per selected target
The guest
  guest           a separate fork for each test
  shared_guest    one fork per target, replaced when dirty
  booted_guest    a separate boot for each test
  any_guest       the test runs twice: on a booted guest, and on a forked one
Its contents
  module          the module, built for the target; its sources and the .ko are in /build of a forked guest
  modules         all modules of the tree, by name
  loaded_module   the module, loaded in the guest that the test uses, with the parameters of `module_parameters`
  program         compiles a C program and copies it into the guest that the test uses
  perf_access     sets the permissions of perf in the guest that the test uses (in `perf.py`)
  one_processor   reduces an emulated guest to one processor, for tests that patch the running kernel
Timing (in `timing.py`)
  stopwatch       times operations in the test's guest, `timed_guest`, with the best timing source that works there
  series          stores measurements in the result file

A fork resumes from the latest snapshot that the test's fixtures need: *loaded* with `loaded_module`, *built* with
`module`, else *ready*.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vmlab.errors import hides_frames
from vmlab.plugin.current import session_of
from vmlab.plugin.needs import GUESTS, PARAMETERS, has_network

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target
    from vmlab.guest.guest import Guest
    from vmlab.lab.freezer import Stage
    from vmlab.lab.lab import Lab
    from vmlab.lab.machines import Running
    from vmlab.lab.testbed import Testbed
    from vmlab.module.build import Built
    from vmlab.module.built import BuiltTree
    from vmlab.plugin.shared import SharedGuest

__tracebackhide__ = hides_frames

STARTS = ("booted", "forked")
_ONE_PROCESSOR = "for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do [ ! -w $cpu ] || echo 0 >$cpu; done"


@pytest.fixture(scope="session")
def vmlab_lab(pytestconfig: pytest.Config) -> Lab:
    """The lab of the run. Scope: session. Cost: none."""
    return session_of(pytestconfig).lab


@pytest.fixture(scope="session")
def vmlab_target(request: pytest.FixtureRequest) -> Target:
    """The target, a parameter of every test that uses a guest. Scope: session, once per target. Cost: none."""
    chosen: Target = request.param
    return chosen


@pytest.fixture(scope="session")
def vmlab_testbed(vmlab_lab: Lab, vmlab_target: Target) -> Testbed:
    """The target's image, boots, forks and builds in this run. Scope: session, once per target. Cost: none at first."""
    return vmlab_lab.testbed(vmlab_target)


@pytest.fixture
def vmlab_start(request: pytest.FixtureRequest) -> str:
    """The start of `any_guest`, a parameter of its tests: booted, then forked. Scope: test. Cost: none."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="session")
def target(vmlab_target: Target) -> Target:
    """The row of the matrix that this test runs on. Scope: session, once per target. Cost: none."""
    return vmlab_target


@pytest.fixture(scope="session")
def vmlab_shared(pytestconfig: pytest.Config, vmlab_testbed: Testbed) -> Iterator[SharedGuest]:
    """The target's shared guest, not yet started. Scope: session, one per target. Cost: none until used."""
    from vmlab.plugin.shared import SharedGuest

    with contextlib.closing(SharedGuest(vmlab_testbed)) as shared:
        session_of(pytestconfig).shared = shared
        yield shared
        session_of(pytestconfig).shared = None


@pytest.fixture
def guest(request: pytest.FixtureRequest, vmlab_testbed: Testbed) -> Iterator[Guest]:
    """A guest for this test only, forked from the target's snapshot. Scope: test. Cost: a fork, about a second under
    TCG on two idle cores; a boot as well for a target's first test."""
    started = vmlab_testbed.fork(stage_for(request), has_network=has_network(request.node))
    with started as running, lent(request, running):
        yield running.guest


@pytest.fixture
def shared_guest(request: pytest.FixtureRequest, vmlab_shared: SharedGuest) -> Iterator[Guest]:
    """A guest that all tests of a target with this fixture share. Scope: one per target; a new fork replaces it after a
    kernel report, an unexpected taint, a hang or the loss of the machine. Cost: a fork for the first test."""
    from vmlab.errors import UsageError

    session = session_of(request.config)
    if has_network(request.node) and not session.lab.settings.network:
        raise UsageError(
            "a test marked network cannot use shared_guest, which other tests use without a network",
            hint="use `guest` in this test, or --vmlab-network for all tests",
        )
    running = vmlab_shared.get(stage_for(request))
    session.lend(request.node, running, vmlab_shared)
    yield running.guest
    session.take_back(request.node, running.guest)


@pytest.fixture
def booted_guest(request: pytest.FixtureRequest, vmlab_testbed: Testbed) -> Iterator[Guest]:
    """A guest booted for this test only. Scope: test. Cost: a boot, 11 to 105 s under TCG on two cores."""
    with vmlab_testbed.boot(has_network=has_network(request.node)) as running, lent(request, running):
        yield running.guest


@pytest.fixture
def any_guest(request: pytest.FixtureRequest, vmlab_target: Target, vmlab_start: str) -> Guest:
    """A guest for this test only. The test runs on a booted guest, then on a forked one, as its id states.
    Scope: test. Cost: a boot and a fork."""
    del vmlab_target  # makes the test run once per target
    return _guest_named(request, "booted_guest" if vmlab_start == STARTS[0] else "guest")


@pytest.fixture
def module(vmlab_testbed: Testbed) -> Built:
    """The module of --vmlab-module, built for the target. Scope: test, one build per target. Cost: the build:
    seconds on the host, a minute in a guest under TCG, none from the cache."""
    return vmlab_testbed.built()


@pytest.fixture
def modules(vmlab_testbed: Testbed) -> BuiltTree:
    """All modules of the tree of --vmlab-module, built for the target: `modules["xoro"]` is one, and `insert` of
    `vmlab` loads it. Scope: test, one build per target. Cost: as `module`."""
    return vmlab_testbed.built_tree()


@pytest.fixture
def loaded_module(request: pytest.FixtureRequest, module: Built) -> Iterator[Built]:
    """The module, loaded in the guest that the test uses, by default `guest`, with the parameters of the marker
    `module_parameters`, and after the modules that it needs. A kernel report during the load fails the test. Scope:
    test. Cost: none in a fork, an `insmod` in other guests and with the marker."""
    from vmlab.errors import ModuleError
    from vmlab.module.load import insert, is_loaded, remove_with_needs

    where, parameters = used_guest(request), parameters_of(request.node, module)
    try:
        if parameters:
            remove_with_needs(where, module)
        if not is_loaded(where, module.info.name):
            insert(where, module, parameters)
    except ModuleError as error:
        session_of(request.config).mark_dirty(request.node, error.message, where)
        raise
    yield module
    if parameters and "shared_guest" in request.fixturenames:
        # The next test gets the module without these parameters.
        session_of(request.config).mark_dirty(request.node, "loaded with parameters", where, is_meant=True)


@pytest.fixture
def program(request: pytest.FixtureRequest, vmlab_testbed: Testbed) -> Callable[[str | Path], str]:
    """A function that compiles a C program, copies it into the guest that the test uses, and returns its path there. A
    string names a file of the module's sources; a `Path` names any file, and headers beside it are found. Scope: test.
    Cost: a compilation the first time, then a copy."""
    from vmlab.module.source import read_programs

    where = used_guest(request)

    def prepare(main: str | Path) -> str:
        tree = read_programs(main.parent) if isinstance(main, Path) else None
        name = main.name if isinstance(main, Path) else main
        compiled = vmlab_testbed.program(name, tree=tree)
        path = f"/tmp/{Path(name).stem}-{compiled.parent.name}"
        if not where.root(f"[ -x {shlex.quote(path)} ]").ok:
            where.put(compiled, path)
        return path

    return prepare


@pytest.fixture
def one_processor(request: pytest.FixtureRequest) -> None:
    """Reduce an emulated guest to one processor for the rest of its life: for tests of perf, tracepoints or kprobes,
    which patch the running kernel. With several processors QEMU's emulation may continue to run the old code
    (docs/trouble.md). Scope: test. Cost: a command; none under KVM."""
    where = used_guest(request)
    if where.is_emulated:
        where.as_root(_ONE_PROCESSOR)


def stage_for(request: pytest.FixtureRequest) -> Stage:
    """Return the latest snapshot stage that a test's fixtures need."""
    from vmlab.lab.freezer import Stage

    names = request.fixturenames
    if "loaded_module" in names and request.node.get_closest_marker(PARAMETERS) is None:
        return Stage.LOADED
    return Stage.BUILT if {"loaded_module", "module", "modules"} & set(names) else Stage.READY


def parameters_of(item: pytest.Item, module: Built) -> dict[str, object]:
    """Return the parameters of a test's marker `module_parameters`.

    Raises `UsageError` for one that the module does not have, which the kernel would ignore.
    """
    from vmlab.errors import UsageError, nearest

    found: dict[str, object] = {}
    for marker in reversed(list(item.iter_markers(PARAMETERS))):
        found |= marker.kwargs
    for name in found:
        if name not in module.info.parameters:
            hint = nearest(name, module.info.parameters)
            raise UsageError(f"@pytest.mark.module_parameters: {module.info.name} has no parameter {name!r}", hint=hint)
    return found


def used_guest(request: pytest.FixtureRequest) -> Guest:
    """Return the guest that a test uses: the first of `GUESTS` among its fixtures, by default `guest`."""
    names = request.fixturenames
    return _guest_named(request, next((name for name in GUESTS if name in names), GUESTS[0]))


def _guest_named(request: pytest.FixtureRequest, name: str) -> Guest:
    found: Guest = request.getfixturevalue(name)
    return found


@contextlib.contextmanager
def lent(request: pytest.FixtureRequest, running: Running) -> Iterator[None]:
    """Lend a guest to one test; a fork's console log is kept only if the test fails."""
    session = session_of(request.config)
    session.lend(request.node, running)
    yield
    session.take_back(request.node, running.guest)
    if running.is_fork and not session.has_failed(request.node):
        running.machine.console.path.unlink(missing_ok=True)
