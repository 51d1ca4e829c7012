# SPDX-License-Identifier: MIT
"""Freezing and resuming with real files, and a monitor that records its commands."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from vmlab.errors import AssetError, HostError, MachineLost
from vmlab.machine.argv import Memory
from vmlab.machine.qmp import Monitor
from vmlab.machine.snapshot import Origin, SnapshotFiles, freeze, thaw

_CAPABILITIES = ("migrate-set-capabilities", {"capabilities": [{"capability": "x-ignore-shared", "state": True}]})
_MIB = 2**20


class FakeMonitor:
    """Records commands in order and the files handed over; `query-migrate` returns the given answers in turn."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.handed: list[tuple[str, str, bool]] = []
        self._answers = list(answers)
        self.call_s = 30.0

    def execute(self, command: str, arguments: dict[str, Any] | None = None, *, timeout_s: float = 0) -> Any:
        self.said.append((command, arguments or {}))
        if command != "query-migrate":
            return {}
        # The last answer repeats.
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def hand_over(self, name: str, descriptor: int) -> None:
        self.said.append(("getfd", {"fdname": name}))
        is_writable = _flags(descriptor) & os.O_ACCMODE != os.O_RDONLY
        self.handed.append((name, str(Path(f"/proc/self/fd/{descriptor}").readlink()), is_writable))

    @property
    def commands(self) -> list[str]:
        return [command for command, _ in self.said]

    def as_monitor(self) -> Monitor:
        return cast("Monitor", self)


def _flags(descriptor: int) -> int:
    (line,) = (
        line for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines() if line.startswith("flags:")
    )
    return int(line.split()[1], 8)


def _statuses(*statuses: str) -> list[dict[str, Any]]:
    return [{"status": status} if status else {} for status in statuses]


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.write_bytes(b"devices of before, and more of them")
    return path


def test_the_guest_is_stopped_before_its_state_is_written(state: Path) -> None:
    monitor = FakeMonitor(*_statuses("setup", "active", "completed"))
    before = _open_files()
    freeze(monitor.as_monitor(), state)
    assert monitor.said[:4] == [
        ("stop", {}),
        _CAPABILITIES,
        ("getfd", {"fdname": "state"}),
        ("migrate", {"uri": "fd:state"}),
    ]
    assert monitor.commands[4:] == ["query-migrate"] * 3
    assert monitor.handed == [("state", str(state), True)]
    assert state.read_bytes() == b""  # a shorter new state leaves nothing of an older one
    assert _open_files() == before


def test_the_guest_runs_on_only_when_its_state_is_read(state: Path) -> None:
    monitor = FakeMonitor(*_statuses("", "setup", "active", "completed"))
    before, text = _open_files(), state.read_bytes()
    thaw(monitor.as_monitor(), state)
    assert monitor.said[:3] == [
        _CAPABILITIES,
        ("getfd", {"fdname": "state"}),
        ("migrate-incoming", {"uri": "fd:state"}),
    ]
    assert monitor.commands[3:] == ["query-migrate"] * 4 + ["cont"]
    assert monitor.handed == [("state", str(state), False)]
    assert state.read_bytes() == text
    assert _open_files() == before


@pytest.mark.parametrize("move", [freeze, thaw])
def test_a_state_that_does_not_move_is_told_in_qemus_words(state: Path, move: Callable[[Monitor, Path], None]) -> None:
    monitor = FakeMonitor({"status": "active"}, {"status": "failed", "error-desc": "Length mismatch: pc.ram"})
    with pytest.raises(AssetError, match=r"^a machine's state was not saved or loaded: Length mismatch: pc\.ram$"):
        move(monitor.as_monitor(), state)
    assert "cont" not in monitor.commands


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failure_without_words_is_one_too(state: Path, status: str) -> None:
    with pytest.raises(AssetError, match="QEMU gives no reason"):
        thaw(FakeMonitor({"status": status}).as_monitor(), state)


def test_a_state_that_never_arrives_is_given_up_by_the_monitors_limit(state: Path) -> None:
    monitor = FakeMonitor({"status": "active"})
    monitor.call_s = 0.005
    with pytest.raises(MachineLost, match=r"state to be saved or loaded.*last seen: active"):
        thaw(monitor.as_monitor(), state)
    assert "cont" not in monitor.commands


def test_a_state_that_is_not_there_is_the_snapshots_fault(tmp_path: Path) -> None:
    monitor = FakeMonitor()
    with pytest.raises(AssetError, match=r"cannot read a snapshot.s state .*: No such file"):
        thaw(monitor.as_monitor(), tmp_path / "state")
    assert "migrate-incoming" not in monitor.commands


def test_a_state_that_cannot_be_written_is_the_hosts_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monitor = FakeMonitor()
    with pytest.raises(HostError, match="cannot write to"):
        freeze(monitor.as_monitor(), tmp_path / "file" / "state")
    assert "migrate" not in monitor.commands


def test_making_remaking_and_forking_use_the_files_differently(tmp_path: Path) -> None:
    files = SnapshotFiles(directory=tmp_path)
    disk, ram, state, base = tmp_path / "disk.qcow2", tmp_path / "ram", tmp_path / "state", Path("/images/disk.qcow2")
    shared, private = Memory(file=ram, is_shared=True), Memory(file=ram, is_shared=False)
    # Boot; writes go into these files.
    assert files.for_making(base) == Origin(base=base, overlay=disk, memory=shared)
    # Resume without changing the files: another overlay, private memory.
    assert files.for_forks(base) == Origin(base=disk, beneath=(base,), memory=private, state=state)
    # Resume; writes go into these files.
    assert files.for_remaking(base) == Origin(base=base, overlay=disk, memory=shared, state=state)


@pytest.fixture
def qemu_img(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """A qemu-img that records its arguments; returns them."""
    programs, notes = tmp_path / "bin", tmp_path / "notes"
    programs.mkdir()
    (programs / "qemu-img").write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(notes))}\n')
    (programs / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return lambda: [line.split() for line in notes.read_text().splitlines()]


def _frozen(directory: Path) -> SnapshotFiles:
    """Snapshot files with 32 MiB of memory: a word at each end and a hole between."""
    directory.mkdir()
    files = SnapshotFiles(directory=directory)
    files.disk.write_bytes(b"QFI\xfb disk")
    files.state.write_bytes(b"devices")
    with files.memory.open("wb") as memory:
        memory.write(b"first")
        memory.truncate(32 * _MIB)
        memory.seek(-4, os.SEEK_END)
        memory.write(b"last")
    return files


def _taken(path: Path) -> int:
    return path.stat().st_blocks * 512


def _rebase(base: Path | str, disk: Path) -> list[str]:
    return ["rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(disk)]


Noted = Callable[[], list[list[str]]]


def test_a_copy_has_the_same_content_and_holes_on_another_base(tmp_path: Path, qemu_img: Noted) -> None:
    source = _frozen(tmp_path / "source")
    (tmp_path / "copy").mkdir()
    copy = SnapshotFiles(directory=tmp_path / "copy")
    copy.copy_from(source, base=tmp_path / "base.qcow2")
    for name in ("disk", "memory", "state"):
        assert getattr(copy, name).read_bytes() == getattr(source, name).read_bytes()
    assert _taken(copy.memory) < _MIB
    assert qemu_img() == [_rebase(tmp_path / "base.qcow2", copy.disk)]


def test_sealing_frees_zeros_and_names_the_base_relatively(tmp_path: Path, qemu_img: Noted) -> None:
    files = _frozen(tmp_path / "made")
    text = files.memory.read_bytes()
    files.memory.write_bytes(text)  # zeros on the disk now
    assert _taken(files.memory) >= 32 * _MIB
    files.seal("../../images/abc/disk.qcow2")
    assert _taken(files.memory) < _MIB
    assert files.memory.read_bytes() == text
    assert qemu_img() == [_rebase("../../images/abc/disk.qcow2", files.disk)]


def test_a_copy_of_what_is_not_there_is_the_hosts_fault_in_one_line(tmp_path: Path, qemu_img: Noted) -> None:
    del qemu_img
    source = _frozen(tmp_path / "source")
    source.memory.unlink()
    (tmp_path / "copy").mkdir()
    with pytest.raises(HostError, match=r"^cannot copy a snapshot: .*No such file") as caught:
        SnapshotFiles(directory=tmp_path / "copy").copy_from(source, base=tmp_path)
    assert "\n" not in caught.value.message


def test_a_disk_that_qemu_img_refuses_is_the_hosts_fault_in_its_words(tmp_path: Path, qemu_img: Noted) -> None:
    del qemu_img
    (tmp_path / "bin" / "qemu-img").write_text("#!/bin/sh\necho more; echo 'qemu-img: no qcow2 file'; exit 1\n")
    with pytest.raises(HostError, match="cannot set a disk's backing file") as caught:
        _frozen(tmp_path / "made").seal("disk.qcow2")
    assert caught.value.message.endswith("backing file: qemu-img: no qcow2 file")
