# SPDX-License-Identifier: MIT
"""The QEMU process, replaced by `sleep`: it ends with the lab in every case, unless it was let go."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from vmlab.errors import HostError, MachineLost
from vmlab.host.confinement import Confinement
from vmlab.machine.qemu import QemuProcess
from vmlab.machine.qmp import Monitor
from vmlab.system import scratch
from vmlab.system.process import ProcessIdentity
from vmlab.system.wait import wait_until

Start = Callable[..., QemuProcess]
Begin = Callable[[str, str], tuple[int, ProcessIdentity]]

_QEMU = "qemu-system-x86_64"
# A separate lab to kill: it starts a machine, prints its pid, and waits.
_LAB = """
import os, sys, time
from pathlib import Path
from vmlab.host.confinement import Confinement
from vmlab.machine.qemu import QemuProcess
from vmlab.system.wait import wait_until
is_keepable, word, directory = sys.argv[1] == "keepable", sys.argv[2], Path(sys.argv[3])
qemu = QemuProcess(
    ["qemu-system-x86_64", "60"], complaints=directory / "qemu.err", descriptors=(), confinement=Confinement(),
    is_keepable=is_keepable,
)
print(wait_until(lambda: qemu.pid, timeout_s=10, describe="a pid", interval_s=0.01), flush=True)
leash = qemu.let_go() if word == "keep" else None
print("done", flush=True)
if word != "exit":
    time.sleep(60)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write the script that replaces QEMU."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def install(text: str) -> None:
        (programs / _QEMU).write_text(f"#!/bin/sh\n{text}\n")
        (programs / _QEMU).chmod(0o755)

    install('exec sleep "$@"')
    return install


@pytest.fixture
def start(tmp_path: Path, install: Callable[[str], None]) -> Iterator[Start]:
    started: list[QemuProcess] = []

    def start(
        *,
        is_keepable: bool = False,
        descriptors: tuple[int, ...] = (),
        confinement: Confinement = Confinement(),  # noqa: B008
    ) -> QemuProcess:
        qemu = QemuProcess(
            [_QEMU, "60"],
            complaints=tmp_path / "qemu.err",
            descriptors=descriptors,
            confinement=confinement,
            is_keepable=is_keepable,
        )
        started.append(qemu)
        return qemu

    yield start
    for qemu in started:
        qemu.end(None)


def _identity(qemu: QemuProcess) -> ProcessIdentity:
    """Identity of the stand-in, once it runs."""
    pid = wait_until(lambda: qemu.pid, timeout_s=5, describe="a pid", interval_s=0.01)
    wait_until(lambda: _name(pid) == "sleep", timeout_s=5, describe="QEMU to run", interval_s=0.01)
    return ProcessIdentity.of(pid)


def _name(pid: int) -> str:
    return Path("/proc", str(pid), "comm").read_text().strip()


def _ends(process: ProcessIdentity) -> bool:
    wait_until(lambda: not process.is_alive(), timeout_s=3, describe="QEMU to end", interval_s=0.02)
    return True


_BOTH_KINDS = pytest.mark.parametrize("is_keepable", [False, True], ids=["tied", "keepable"])


@_BOTH_KINDS
def test_its_pid_is_its_own_and_not_its_guards(start: Start, is_keepable: bool) -> None:
    qemu = start(is_keepable=is_keepable)
    assert _identity(qemu).is_alive()
    assert (qemu.pid != qemu.child.pid) == is_keepable


@_BOTH_KINDS
def test_end_ends_it_and_may_be_called_again(start: Start, is_keepable: bool) -> None:
    qemu = start(is_keepable=is_keepable)
    process = _identity(qemu)
    assert qemu.status is None
    qemu.end(None)
    assert _ends(process)
    assert qemu.status is not None
    qemu.end(None)


@_BOTH_KINDS
def test_end_is_firm_with_one_that_ignores_it(
    start: Start, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, is_keepable: bool
) -> None:
    monkeypatch.setattr("vmlab.machine.qemu.POLITE_S", 0.2)
    install("trap '' TERM\nexec sleep 60")
    qemu = start(is_keepable=is_keepable)
    process = _identity(qemu)
    qemu.end(None)
    assert _ends(process)


def test_end_asks_over_the_monitor_first(start: Start) -> None:
    class Asked:
        """A QEMU that executes `quit`."""

        def execute(self, command: str, *, timeout_s: float) -> None:
            said.append(command)
            os.kill(qemu.pid, 9)

    said: list[str] = []
    qemu = start()
    _identity(qemu)
    qemu.end(cast("Monitor", Asked()))
    assert said == ["quit"]
    assert qemu.status == -9
    qemu.end(cast("Monitor", Asked()))
    assert said == ["quit"]


@_BOTH_KINDS
def test_its_status_and_its_words_are_told(start: Start, install: Callable[[str], None], is_keepable: bool) -> None:
    install("echo 'qemu: no memory' >&2; exit 3")
    qemu = start(is_keepable=is_keepable)
    qemu.wait_shortly()
    assert (qemu.status, qemu.words) == (3, "qemu: no memory")


@pytest.mark.parametrize("is_keepable", [False, True], ids=["is not keepable", "has ended"])
def test_what_cannot_be_kept_is_not_let_go(start: Start, is_keepable: bool) -> None:
    qemu = start(is_keepable=is_keepable)
    process = _identity(qemu)
    if is_keepable:
        process.kill()
        qemu.wait_shortly()
    with pytest.raises(MachineLost, match="cannot be kept"):
        qemu.let_go()


def test_a_missing_qemu_is_the_hosts_fault(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="qemu-no-such is not installed"):
        QemuProcess(["qemu-no-such"], complaints=tmp_path / "err", descriptors=(), confinement=Confinement())


def test_a_kept_one_holds_its_scratch_directory_until_it_ends(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "PARENT", tmp_path)
    directory = tmp_path / "vmlab-4194305-17-abc"
    directory.mkdir()
    lock = scratch.lock_directory(directory)
    qemu = start(is_keepable=True, descriptors=(lock,))
    os.close(lock)
    process = _identity(qemu)
    qemu.let_go()
    assert not scratch.is_abandoned(directory)
    process.kill()
    wait_until(lambda: scratch.is_abandoned(directory), timeout_s=3, describe="the lock", interval_s=0.02)


@pytest.fixture
def lab(tmp_path: Path, install: Callable[[str], None]) -> Iterator[Begin]:
    """Start a lab and its machine; the lab then waits or ends as `word` says."""
    machines: list[ProcessIdentity] = []
    labs: list[subprocess.Popen[str]] = []

    def begin(kind: str, word: str) -> tuple[int, ProcessIdentity]:
        child = subprocess.Popen(
            [sys.executable, "-c", _LAB, kind, word, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        labs.append(child)
        assert child.stdout is not None
        machines.append(ProcessIdentity.of(int(child.stdout.readline())))
        assert child.stdout.readline() == "done\n"
        return child.pid, machines[-1]

    yield begin
    for child in labs:
        child.kill()
        child.communicate()
    for machine in machines:
        machine.kill()


@pytest.mark.parametrize("kind", ["tied", "keepable"])
def test_it_dies_with_a_lab_that_is_killed_without_a_word(lab: Begin, kind: str) -> None:
    pid, machine = lab(kind, "wait")
    assert machine.is_alive()
    os.kill(pid, 9)
    assert _ends(machine)


@pytest.mark.parametrize("kind", ["tied", "keepable"])
def test_it_dies_with_a_lab_that_just_ends(lab: Begin, kind: str) -> None:
    _, machine = lab(kind, "exit")
    assert _ends(machine)


def test_one_that_was_let_go_outlives_its_lab(lab: Begin) -> None:
    pid, machine = lab("keepable", "keep")
    os.kill(pid, 9)
    time.sleep(0.5)  # all others have ended by then, as above
    assert machine.is_alive()


def test_a_keepable_one_dies_with_its_guard(start: Start) -> None:
    qemu = start(is_keepable=True)
    process = _identity(qemu)
    os.kill(qemu.child.pid, 9)
    assert _ends(process)
