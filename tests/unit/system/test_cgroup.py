# SPDX-License-Identifier: MIT
"""The cgroup of a build, in a tree of plain files: its place, controllers, limits and end.

tests/hostile/test_cgroup.py uses a kernel's.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.system import cgroup
from vmlab.system.cgroup import Cgroup, counts
from vmlab.system.delegation import delegated, enable_controllers, is_marked
from vmlab.system.process import ProcessIdentity

_MOUNTS = """\
22 1 0:5 / /proc rw - proc proc rw
31 22 0:26 {} /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""
_USER = "/user.slice/user-1000.slice/user@1000.service"


@pytest.mark.parametrize(
    ("own", "root", "top"),
    [
        ("/system.slice/run-r6b.scope", "/", "system.slice/run-r6b.scope"),
        ("/system.slice/lab.service/lab/worker", "/", "system.slice/lab.service"),
        (f"{_USER}/app.slice/vte.scope", "/", f"{_USER[1:]}/app.slice/vte.scope"),
        ("/", "/", ""),
        ("/init", "/", ""),
        ("/docker/4711", "/docker/4711", ""),
        ("/docker/4711/init", "/docker/4711", ""),
    ],
)
def test_the_innermost_unit_is_asked_or_the_root_without_units(own: str, root: str, top: str) -> None:
    found = delegated(f"9:memory:/x\n0::{own}\n", _MOUNTS.format(root), is_delegated=lambda _: True)

    assert found == Path("/sys/fs/cgroup", top)


def test_a_unit_inside_of_a_delegated_unit_needs_a_delegation_of_its_own() -> None:
    users_manager = Path(f"/sys/fs/cgroup{_USER}")

    with pytest.raises(HostError, match=r"vte\.scope' is not delegated"):
        delegated(
            f"0::{_USER}/app.slice/vte.scope", _MOUNTS.format("/"), is_delegated=lambda each: each == users_manager
        )


@pytest.mark.parametrize(
    ("membership", "root", "reason"),
    [
        ("9:memory:/\n", "/", "no cgroup2 file system is mounted"),
        ("0::/../other\n", "/", "is not below"),
        ("0::/\n", "/../..", "is not below"),
        ("0::/docker/4711\n", "/docker/1147", "is not below"),
    ],
)
def test_a_cgroup_that_is_not_reached_is_not_used(membership: str, root: str, reason: str) -> None:
    with pytest.raises(HostError, match=reason):
        delegated(membership, _MOUNTS.format(root), is_delegated=lambda _: True)


def test_a_host_without_cgroup2_has_none() -> None:
    with pytest.raises(HostError, match="no cgroup2"):
        delegated("0::/\n", "31 22 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n", is_delegated=lambda _: True)


def test_a_root_is_usable_unless_systemd_has_units_in_it(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    assert is_marked(tmp_path)

    (tmp_path / "init.scope").mkdir()

    assert not is_marked(tmp_path)


def test_a_unit_without_systemds_mark_is_not_usable(tmp_path: Path) -> None:
    unit = tmp_path / "ssh.service"
    unit.mkdir()

    assert not is_marked(unit)


def _tree(tmp_path: Path, *, controllers: str, enabled: str = "", processes: str = "") -> Path:
    for name, text in (("controllers", controllers), ("subtree_control", enabled), ("procs", processes)):
        (tmp_path / f"cgroup.{name}").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("controllers", "enabled", "written"),
    [
        ("cpuset cpu io memory pids\n", "", "+memory +pids"),
        ("cpu pids\n", "", "+pids"),
        ("cpu memory pids\n", "cpu\n", "+memory +pids"),
        ("memory pids\n", "pids memory\n", "pids memory\n"),
    ],
)
def test_the_controllers_that_are_available_are_enabled(
    tmp_path: Path, controllers: str, enabled: str, written: str
) -> None:
    top = _tree(tmp_path, controllers=controllers, enabled=enabled)

    enable_controllers(top)

    assert (top / "cgroup.subtree_control").read_text() == written


def test_a_cgroup_without_either_controller_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="neither the memory nor the pids controller"):
        enable_controllers(_tree(tmp_path, controllers="cpu io\n"))


class _Busy:
    """A kernel that refuses to enable controllers once, because of the cgroup's processes."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, str]] = []

    def __call__(self, path: Path, text: str) -> None:
        self.writes.append((path.name, text))
        if len(self.writes) == 1:
            raise OSError(16, "Device or resource busy")
        if path.name == "cgroup.procs":
            (path.parents[1] / "cgroup.procs").write_text("")


def test_the_labs_processes_make_room_in_a_cgroup_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = _Busy()
    monkeypatch.setattr("vmlab.system.delegation.write", busy)
    with subprocess.Popen(["sleep", "60"]) as child:
        top = _tree(tmp_path, controllers="pids", processes=f"{os.getpid()}\n{child.pid}\n")
        enable_controllers(top)
        child.kill()

    assert busy.writes[1:] == [
        ("cgroup.procs", str(os.getpid())),
        ("cgroup.procs", str(child.pid)),
        ("cgroup.subtree_control", "+pids"),
    ]


@pytest.mark.parametrize("stranger", ["1", "0"])
def test_processes_that_are_not_the_labs_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: str
) -> None:
    busy = _Busy()
    monkeypatch.setattr("vmlab.system.delegation.write", busy)
    monkeypatch.setattr("os.getpid", lambda: 2)  # kthreadd's; process 1 is not its ancestor
    top = _tree(tmp_path, controllers="pids", processes=f"2\n{stranger}\n")

    with pytest.raises(OSError, match="not the lab's"):
        enable_controllers(top)

    assert busy.writes == [("cgroup.subtree_control", "+pids")]
    assert not (tmp_path / "vmlab").exists()


def test_counters_of_events_are_read() -> None:
    assert counts("low 0\noom 1\noom_kill 23\n\nodd\nmax x\n") == {"low": 0, "oom": 1, "oom_kill": 23}


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cgroup, "find_delegated", lambda: tmp_path)
    return _tree(tmp_path, controllers="memory pids", enabled="memory pids")


@pytest.fixture
def made(top: Path) -> Cgroup:
    return Cgroup(memory_mib=200, processes=50)


@pytest.mark.parametrize(
    ("memory", "pids", "hits"),
    [
        ("oom 0\noom_kill 0\n", "max 0\n", (False, False)),
        ("oom 2\noom_kill 5\n", "max 0\n", (True, False)),
        ("oom 0\noom_kill 5\n", "max 0\n", (False, False)),
        ("oom 0\noom_kill 0\n", "max 3\n", (False, True)),
        ("", "", (False, False)),
    ],
)
def test_a_hit_limit_is_told_from_a_host_without_memory(
    made: Cgroup, memory: str, pids: str, hits: tuple[bool, bool]
) -> None:
    (made.path / "memory.events").write_text(memory)
    (made.path / "pids.events").write_text(pids)

    found = made.hits()

    assert (found.memory, found.processes) == hits


def test_a_command_enters_before_it_runs(made: Cgroup) -> None:
    output = subprocess.run(made.entered_by(["echo", "a b", "c"]), capture_output=True, text=True, check=True).stdout

    assert output == "a b c\n"
    assert (made.path / "cgroup.procs").read_text() == "0\n"


def test_a_command_that_cannot_enter_does_not_run(made: Cgroup) -> None:
    (made.path / "cgroup.procs").unlink()
    made.path.rmdir()

    done = subprocess.run(made.entered_by(["echo", "ran"]), capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert done.stdout == ""


def test_a_dead_labs_cgroup_is_removed_by_the_next(top: Path) -> None:
    dead, alive = ProcessIdentity(pid=2**22 + 1, started=1), ProcessIdentity.of(os.getpid())
    for owner in (dead, alive):
        (top / f"vmlab-{owner.pid}-{owner.started}-before").mkdir()

    Cgroup(memory_mib=200, processes=50)

    assert [path.name for path in top.glob("*-before")] == [f"vmlab-{alive.pid}-{alive.started}-before"]
