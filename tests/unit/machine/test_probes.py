# SPDX-License-Identifier: MIT
"""Probes sent to QEMU when its guest no longer answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from vmlab.errors import HostError, MachineLost
from vmlab.machine.probes import Probes
from vmlab.machine.qmp import Monitor


class _Monitor:
    """Records the executed commands."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, object]]] = []
        self.limits: list[float] = []
        self.call_s = 30.0
        self.refusal: MachineLost | None = None

    def execute(self, command: str, arguments: Mapping[str, object] | None = None, *, timeout_s: float = 1) -> Any:
        self.told.append((command, arguments or {}))
        self.limits.append(timeout_s)
        if self.refusal is not None:
            raise self.refusal
        return "RIP=0"

    def hand_over(self, name: str, descriptor: int) -> None:
        os.fstat(descriptor)
        self.told.append(("getfd", {"fdname": name}))


def _probes(monitor: _Monitor, directory: Path) -> closing[Probes]:
    if not (directory / "serial.in").exists():
        os.mkfifo(directory / "serial.in")
    return closing(Probes(cast("Monitor", monitor), directory / "serial.in"))


def test_a_key_goes_to_the_console_after_a_break(tmp_path: Path) -> None:
    monitor = _Monitor()
    with _probes(monitor, tmp_path) as probes:
        probes.sysrq("w")
        probes.sysrq("l")
        reader = os.open(tmp_path / "serial.in", os.O_RDONLY | os.O_NONBLOCK)
        assert os.read(reader, 10) == b"wl"
        os.close(reader)
    assert monitor.told == [("human-monitor-command", {"command-line": "chardev-send-break console"})] * 2


def test_a_dump_is_written_to_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    monitor = _Monitor()
    with _probes(monitor, tmp_path) as probes:
        probes.dump(tmp_path / "dump")
    assert [command for command, _ in monitor.told] == ["getfd", "dump-guest-memory"]
    assert monitor.told[1][1] == {"paging": False, "protocol": "fd:dump"}
    assert monitor.limits == [10 * monitor.call_s]
    assert (tmp_path / "dump").stat().st_mode & 0o777 == 0o600


def test_a_dump_that_qemu_refuses_leaves_no_file(tmp_path: Path) -> None:
    monitor = _Monitor()
    monitor.refusal = MachineLost("not supported")
    with _probes(monitor, tmp_path) as probes, pytest.raises(HostError, match="was not dumped: not supported"):
        probes.dump(tmp_path / "dump")
    assert not (tmp_path / "dump").exists()


def test_a_dump_that_has_nowhere_to_go_says_so(tmp_path: Path) -> None:
    with _probes(_Monitor(), tmp_path) as probes, pytest.raises(HostError, match="cannot dump the guest's memory to"):
        probes.dump(tmp_path / "none" / "dump")


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    with _probes(_Monitor(), tmp_path) as probes:
        probes.sysrq("w")
        probes.close()
