# SPDX-License-Identifier: MIT
"""The fixtures that tests use. Each docstring tells scope and cost.

target          which kernel: the test runs once per chosen target
guest           a booted guest of that target, shared by its tests and replaced when dirty
booted_guest    a guest booted for this test alone
module          the module, built for the target
loaded_module   the module, loaded in `guest`
program         compiles a C program for the guest and copies it in
record_series   keeps measurements for the result file
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vmlab.guest.guest import Guest
    from vmlab.lab import Lab
    from vmlab.module.build import Built
    from vmlab.plugin.shared import SharedGuest
    from vmlab.target import Target
    from vmlab.timing.series import Series


@pytest.fixture(scope="session")
def vmlab_lab(pytestconfig: pytest.Config) -> Lab:
    """The run's lab. Scope: session. Cost: none by itself."""
    from vmlab.plugin import session_of

    return session_of(pytestconfig).lab


@pytest.fixture(scope="session")
def vmlab_target(request: pytest.FixtureRequest) -> Target:
    """What the plugin parametrizes every test with that uses a guest. Scope: session, once per target. Cost: none."""
    chosen: Target = request.param
    return chosen


@pytest.fixture(scope="session")
def target(vmlab_target: Target) -> Target:
    """The row of the matrix that this test runs on. Scope: session, once per target. Cost: none."""
    return vmlab_target


@pytest.fixture(scope="session")
def vmlab_shared(vmlab_lab: Lab, vmlab_target: Target) -> Iterator[SharedGuest]:
    """The target's shared guest, not yet booted. Scope: session, one per target. Cost: none until asked."""
    import contextlib

    from vmlab.plugin.shared import SharedGuest

    with contextlib.closing(SharedGuest(vmlab_lab, vmlab_target)) as shared:
        yield shared


@pytest.fixture
def guest(vmlab_shared: SharedGuest) -> Guest:
    """A guest of the target. Scope: one per target, shared by its tests; a guest whose kernel reported trouble, or
    that was lost, is replaced before the next test. Cost: a boot for the first test of a target."""
    return vmlab_shared.get()


@pytest.fixture
def booted_guest(vmlab_lab: Lab, vmlab_target: Target) -> Iterator[Guest]:
    """A guest booted for this test alone. Scope: test. Cost: a boot, 22 to 105 s under TCG on two cores."""
    with vmlab_lab.boot(vmlab_target) as booted:
        yield booted.guest


@pytest.fixture
def module(vmlab_lab: Lab, vmlab_target: Target, vmlab_shared: SharedGuest) -> Built:
    """The module of --vmlab-module, built for the target. Scope: test, one build per target. Cost: the build; seconds
    on the host, a minute in a guest under TCG, nothing from the cache."""
    return vmlab_lab.build(vmlab_target, vmlab_shared.get)


@pytest.fixture
def loaded_module(module: Built, guest: Guest, vmlab_shared: SharedGuest) -> Built:
    """The module, loaded in `guest` with its default parameters. Scope: test; it stays loaded for the next. Cost: an
    `insmod` when it is not loaded yet. Fails when loading it makes the kernel report trouble."""
    from vmlab.errors import ModuleError
    from vmlab.module.load import insert, is_loaded

    if not is_loaded(guest, module.info.name):
        try:
            insert(guest, module)
        except ModuleError as error:
            vmlab_shared.mark_dirty(error.message)
            raise
    return module


@pytest.fixture
def program(vmlab_lab: Lab, vmlab_target: Target, vmlab_shared: SharedGuest, guest: Guest) -> Callable[[str], str]:
    """Compile a C program that lies among the module's sources, named by its path there, and copy it into `guest`;
    returns its path in the guest. Scope: test. Cost: a compilation the first time, then a copy."""

    def prepare(main: str) -> str:
        compiled = vmlab_lab.program(vmlab_target, main, vmlab_shared.get)
        path = f"/tmp/{Path(main).stem}-{compiled.parent.name}"
        if not guest.run(f"test -x {path}").ok:
            guest.put(compiled, path)
        return path

    return prepare


@pytest.fixture
def record_series(pytestconfig: pytest.Config) -> Callable[[Series], None]:
    """Keep a series of measurements for the result file. Scope: test. Cost: none."""
    from vmlab.plugin import session_of

    return session_of(pytestconfig).series.append
