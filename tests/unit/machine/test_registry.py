# SPDX-License-Identifier: MIT
"""Running machines, with `sleep` for QEMU: their listing, their end, and the memory left for another one."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.machine import registry as running
from vmlab.machine.registry import MachineRecord, fits, kept_machines, left_by, machines, reap, room_for, write_record
from vmlab.system import scratch
from vmlab.system.process import ProcessIdentity

Spawn = Callable[[], subprocess.Popen[bytes]]

_GONE = ProcessIdentity(pid=4194305, started=17)  # above the kernel's largest pid
_NOT_YET = ProcessIdentity(pid=0, started=0)
_myself = partial(ProcessIdentity.of, os.getpid())


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(scratch, "PARENT", tmp_path)
    return tmp_path


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a process in place of QEMU."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["sleep", "60"]))
        return started[-1]

    yield start
    for child in started:
        child.kill()
        child.wait()


def _record(qemu: ProcessIdentity, *, expected_mib: int = 1324, is_kept: bool = False) -> MachineRecord:
    return MachineRecord(
        target="debian12-6.1", qemu=qemu, ssh_port=40123, console="", expected_mib=expected_mib, is_kept=is_kept
    )


def _machine(parent: Path, owner: ProcessIdentity, record: MachineRecord, name: str = "abc") -> Path:
    """A machine's scratch directory, with its record."""
    directory = parent / f"vmlab-{owner.pid}-{owner.started}-{name}"
    directory.mkdir()
    write_record(directory, record)
    return directory


def test_a_record_is_read_back_as_it_was_written(parent: Path) -> None:
    record = _record(_myself(), is_kept=True)
    directory = _machine(parent, _myself(), record)
    assert list(machines()) == [(directory, record)]
    assert record.name == f"kept-{os.getpid()}"


def test_a_record_that_is_written_again_is_replaced_whole(parent: Path) -> None:
    directory = _machine(parent, _myself(), _record(_NOT_YET))
    write_record(directory, _record(_myself()))
    assert [record.qemu for _, record in machines()] == [_myself()]
    assert len(list(directory.iterdir())) == 1


@pytest.mark.parametrize(
    "text",
    ["", '{"target": "debian12-6.1", "qe', "[]", "null", '{"target": "debian12-6.1"}', "\udcff"],
    ids=["empty", "half", "a list", "null", "without most keys", "not UTF-8"],
)
def test_a_broken_record_hides_only_its_own_machine(parent: Path, text: str) -> None:
    broken = _machine(parent, _myself(), _record(_myself()), "aaa")
    well = _machine(parent, _myself(), _record(_myself()), "bbb")
    (broken / "machine.json").write_text(text, encoding="utf-8", errors="surrogateescape")
    (parent / "vmlab-1-1-empty").mkdir()
    assert [directory for directory, _ in machines()] == [well]


def test_what_a_process_left_is_its_directories_and_its_living_machines(parent: Path, spawn: Spawn) -> None:
    pid = spawn().pid
    living = _machine(parent, _myself(), _record(ProcessIdentity.of(pid)), "aaa")
    ended = _machine(parent, _myself(), _record(_GONE), "bbb")
    bare = parent / f"vmlab-{_myself().pid}-{_myself().started}-ccc"
    bare.mkdir()
    _machine(parent, _myself(), _record(ProcessIdentity.of(pid), is_kept=True), "kept")
    _machine(parent, ProcessIdentity.of(os.getppid()), _record(ProcessIdentity.of(pid)), "the_other")
    _machine(parent, ProcessIdentity(pid=os.getpid(), started=17), _record(_GONE), "before")
    assert left_by(_myself()) == [
        f"directory {living}",
        f"QEMU {pid} of debian12-6.1, port 40123",
        f"directory {ended}",
        f"directory {bare}",
    ]


def test_a_kept_machine_is_listed_while_it_lives(parent: Path, spawn: Spawn) -> None:
    child = spawn()
    record = _record(ProcessIdentity.of(child.pid), is_kept=True)
    _machine(parent, _GONE, record)
    _machine(parent, _GONE, _record(ProcessIdentity.of(spawn().pid)), "not-kept")
    assert kept_machines() == [record]
    child.kill()
    child.wait()
    assert kept_machines() == []


def test_a_pid_that_was_given_out_again_is_no_kept_machine(parent: Path, spawn: Spawn) -> None:
    _machine(parent, _GONE, _record(ProcessIdentity(pid=spawn().pid, started=17), is_kept=True))
    assert kept_machines() == []


@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "not kept"])
def test_reap_ends_a_machine_whose_owner_is_gone(parent: Path, spawn: Spawn, is_kept: bool) -> None:
    child = spawn()
    directory = _machine(parent, _GONE, _record(ProcessIdentity.of(child.pid), is_kept=is_kept))
    assert reap() == [f"ended    QEMU {child.pid} of debian12-6.1", f"removed  {directory}"]
    assert child.wait(5) == -9
    assert not directory.exists()
    assert reap() == []


def test_reap_ends_a_kept_machine_that_holds_its_directory(parent: Path) -> None:
    directory = _machine(parent, _GONE, _record(_NOT_YET))
    lock = scratch.lock_directory(directory)
    with subprocess.Popen(["sleep", "60"], pass_fds=(lock,)) as child:
        os.close(lock)
        write_record(directory, _record(ProcessIdentity.of(child.pid), is_kept=True))
        assert f"ended    QEMU {child.pid} of debian12-6.1" in reap()
        assert child.wait(5) == -9
    assert not directory.exists()


def test_reap_ends_a_kept_machine_though_its_owner_lives(parent: Path, spawn: Spawn) -> None:
    child = spawn()
    directory = _machine(parent, _myself(), _record(ProcessIdentity.of(child.pid), is_kept=True))
    assert reap() == [f"ended    QEMU {child.pid} of debian12-6.1"]
    assert child.wait(5) == -9
    assert directory.exists()


def test_reap_leaves_a_machine_alone_whose_owner_lives(parent: Path, spawn: Spawn) -> None:
    child = spawn()
    directory = _machine(parent, _myself(), _record(ProcessIdentity.of(child.pid)))
    assert reap() == []
    assert child.poll() is None
    assert directory.exists()


def test_reap_ends_no_process_that_merely_has_the_pid(parent: Path, spawn: Spawn) -> None:
    child = spawn()
    directory = _machine(parent, _GONE, _record(ProcessIdentity(pid=child.pid, started=17), is_kept=True))
    assert reap() == [f"removed  {directory}"]
    assert child.poll() is None


@pytest.mark.parametrize(
    ("needed", "available", "promised", "has_room"),
    [
        (1024, 1024, [], True),
        (1025, 1024, [], False),
        (1024, 2048, [1024], True),
        (1024, 2048, [1000, 25], False),
        (450, 1000, [0, 0, 550], True),
        (1, 100, [500], False),
    ],
)
def test_a_machine_fits_beside_what_was_promised(
    needed: int, available: int, promised: list[int], has_room: bool
) -> None:
    assert fits(needed, available_mib=available, promised_mib=promised) is has_room


@pytest.fixture
def two_gib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "available_memory_mib", lambda: 2048)


@pytest.mark.usefixtures("two_gib")
@pytest.mark.parametrize("qemu", [_NOT_YET, _myself()], ids=["not started yet", "running"])
def test_a_promise_not_yet_taken_leaves_no_room_and_one_line_says_so(
    parent: Path, monkeypatch: pytest.MonkeyPatch, qemu: ProcessIdentity
) -> None:
    monkeypatch.setattr(running, "taken_mib", lambda pid: 100 if pid else 0)
    _machine(parent, _myself(), _record(qemu, expected_mib=1500))
    promised = 1500 - (100 if qemu.pid else 0)
    with pytest.raises(HostError) as caught, room_for(1024, timeout_s=0):
        pytest.fail("there is no room")
    assert caught.value.message == (
        f"not enough memory: 2048 MiB available, {promised} MiB of them promised to running guests, "
        "and this guest needs 1024 MiB"
    )
    assert "--vmlab-memory-mib" in caught.value.hint
    with room_for(2048 - promised, timeout_s=0):
        pass


@pytest.mark.usefixtures("two_gib")
@pytest.mark.parametrize("qemu", [_NOT_YET, _GONE], ids=["never started", "ended"])
def test_what_a_dead_process_was_promised_is_free(parent: Path, qemu: ProcessIdentity) -> None:
    _machine(parent, _GONE, _record(qemu, expected_mib=1500))
    with room_for(2048, timeout_s=0):
        pass


@pytest.mark.usefixtures("two_gib")
def test_a_machine_waits_until_anothers_promise_is_gone(parent: Path, spawn: Spawn) -> None:
    child = spawn()
    _machine(parent, _myself(), _record(ProcessIdentity.of(child.pid), expected_mib=1500))
    end = threading.Timer(0.3, child.kill)
    end.start()
    with room_for(1024, timeout_s=10):
        assert child.wait(0) == -9


@pytest.mark.usefixtures("two_gib")
def test_who_comes_second_counts_what_the_first_was_promised(parent: Path) -> None:
    said: list[str] = []

    def come_second() -> None:
        try:
            with room_for(1024, timeout_s=0):
                said.append("has room")
        except HostError as error:
            said.append(error.message)

    second = threading.Thread(target=come_second)
    with room_for(1500, timeout_s=0):
        second.start()
        second.join(0.3)
        assert said == []  # the second waits until the first has its record
        _machine(parent, _myself(), _record(_myself(), expected_mib=100000))
    second.join(5)
    assert [line.partition(":")[0] for line in said] == ["not enough memory"]


def test_memory_taken_is_what_a_process_has_to_itself() -> None:
    assert 1 <= running.taken_mib(os.getpid()) < 10_000
    assert running.taken_mib(_GONE.pid) == 0
