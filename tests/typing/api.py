# SPDX-License-Identifier: MIT
"""Code as in a user's tests; `nox -s api` checks it with mypy against the installed wheel, and never runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import assert_type

import pytest

from vmlab import (
    Built,
    BuiltTree,
    Command,
    CommandHung,
    Completed,
    Guest,
    GuestError,
    Ioctl,
    KernelTrouble,
    Loop,
    MachineLost,
    Measurement,
    Read,
    SeekRead,
    Series,
    Stopwatch,
    SystemCall,
    Target,
    Testbed,
    TimingSource,
    VmlabError,
    Write,
    insert,
    is_loaded,
    remove,
)
from vmlab.testing import FakeLab, FakeTransport


def test_a_guest_takes_commands(guest: Guest, shared_guest: Guest, tmp_path: Path) -> None:
    assert_type(guest.run("true"), Completed)
    assert_type(guest.succeed("uname -r", timeout_s=10), str)
    assert_type(guest.fail("false"), Completed)
    assert_type(guest.as_root("dmesg"), str)
    assert_type(guest.read("/proc/version"), str)
    guest.put(tmp_path, "/tmp/x")
    guest.get("/tmp/x", tmp_path)
    guest.wait_until("test -e /dev/answer")
    assert_type(shared_guest.run("true").status, int)


def test_a_module_is_loaded_and_unloaded(guest: Guest, module: Built, target: Target) -> None:
    insert(guest, module, {"answer": 42})
    assert_type(is_loaded(guest, module.info.name), bool)
    remove(guest, module.info.name)
    assert_type(target.id, str)


def test_errors_say_whose_fault_it_is(guest: Guest, module: Built) -> None:
    with pytest.raises(KernelTrouble) as caught:
        insert(guest, module)
    assert_type(caught.value.fingerprint, str)
    assert_type(caught.value.source, str)
    for kind in (GuestError, CommandHung, MachineLost):
        assert issubclass(kind, VmlabError)


def test_operations_are_timed(stopwatch: Stopwatch, series: Callable[[str, Mapping[int, Measurement]], Series]) -> None:
    taken = {n: stopwatch.measure(Read(path="/dev/answer", offset=n, size=8)) for n in (1, 10)}
    assert_type(taken[1].best, float)
    assert_type(series("read", taken), Series)
    assert_type(stopwatch.source, TimingSource)
    for operation in (
        SeekRead(path="/dev/answer", size=8),
        Write(path="/dev/answer", size=8),
        Ioctl(path="/dev/answer", request=1, size=8),
        Command(("true",)),
        Loop(1000),
        SystemCall(),
    ):
        stopwatch.measure(operation, batches=10)


def test_a_testbed_gives_guests(vmlab_testbed: Testbed) -> None:
    with vmlab_testbed.fork() as running:
        assert_type(running.guest, Guest)
    assert_type(vmlab_testbed.built(), Built)
    assert_type(vmlab_testbed.built_tree(), BuiltTree)
    assert_type(vmlab_testbed.built_tree()["fib"], Built)


class Answering(FakeTransport):
    """A user-defined guest, for tests of fixtures."""

    def answer(self, command: str) -> Completed | str:
        return "42\n" if command == "cat /dev/answer" else super().answer(command)


def make_lab(lab: FakeLab) -> FakeLab:
    return FakeLab(lab.settings, make_transport=lambda _: Answering())
