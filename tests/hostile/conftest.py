# SPDX-License-Identifier: MIT
"""Fixtures of the attacks: an environment without user settings, and for an attack without a guest an empty store."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostile.build_attacks import SECRET
from hostile.stores import fill
from vmlab.lab.testbed import Testbed
from vmlab.module.build_root import HostPlace
from vmlab.module.sandbox import Sandbox
from vmlab.plugin.timing import PLACE
from vmlab.store.store import Store, StoredObject
from vmlab.system.process import find_program


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # xdist's names would make an inner run take itself for a worker of the outer one.
    for name in os.environ:
        if name.startswith(("VMLAB_", "PYTEST_XDIST_")):
            monkeypatch.delenv(name)
    # Set by GitHub runners: an inner run would print workflow commands to the log.
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    if "vmlab_target" in request.fixturenames:
        return
    # In case a test tries to use a real lab.
    monkeypatch.setenv("VMLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("VMLAB_MIRROR", "http://mirror.invalid/debian")
    # No guest runs here, so no run needs to wait for another that holds the host.
    monkeypatch.setenv(PLACE, "held")


@pytest.fixture(params=list(Sandbox))
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    chosen: Sandbox = request.param
    if chosen is Sandbox.BUBBLEWRAP and find_program("bwrap") is None:
        pytest.skip("bubblewrap is not installed: `vmlab setup` does it")
    return chosen


@pytest.fixture
def place(vmlab_testbed: Testbed, sandbox: Sandbox) -> Iterator[HostPlace]:
    opened = HostPlace(vmlab_testbed.image, sandbox=sandbox)
    yield opened
    opened.close()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def locks_as_on_nfs(monkeypatch: pytest.MonkeyPatch) -> None:
    """flock(2) as on NFS: an exclusive lock takes a file that is open for writing."""
    flock = fcntl.flock

    def as_on_nfs(descriptor: int, how: int) -> None:
        if how & fcntl.LOCK_EX and fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store that the command uses too (VMLAB_STORE)."""
    return Store(tmp_path / "store")


@pytest.fixture
def whole(store: Store) -> StoredObject:
    return store.obtain("image", {"kernel": "whole"}, fill)
