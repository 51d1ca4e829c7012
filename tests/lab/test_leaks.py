# SPDX-License-Identifier: MIT
"""Runs that leave nothing behind however they end; kept guests that can be entered, and ended by `vmlab reap`."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.system.scratch import is_abandoned, scratch_directories

from .conftest import Finished, Running

Finish = Callable[..., Finished]
Start = Callable[..., Running]
ONE = "debian12-6.1"


@pytest.fixture(autouse=True)
def _on_one_target(target: Target) -> None:
    if target.id != ONE:
        pytest.skip(f"says nothing about a kernel: runs on {ONE} alone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("options", [(), ("--vmlab-keep",), ("-n", "2")], ids=["plain", "keep", "workers"])
def test_no_fork_survives_a_run_that_is_ended_in_a_test(
    start: Start, finish: Finish, number: signal.Signals, options: tuple[str, ...]
) -> None:
    running = start("pytest", "tests/lab/sleeper.py", "--vmlab-target", ONE, *options)
    running.wait_for_file("asleep")
    running.child.send_signal(number)
    assert running.child.wait(timeout=60) == (2 if number is signal.SIGINT else -signal.SIGKILL)
    assert running.left_behind() == []
    # After Ctrl-C the results so far are written.
    assert (running.report / "results.json").is_file() is (number is signal.SIGINT)
    # A killed run cannot remove its directory; the next run or `vmlab reap` does.
    assert finish("vmlab", "reap").status == 0
    assert [path for path in scratch_directories() if is_abandoned(path)] == []


def test_a_test_that_kills_its_worker_fails_once_and_the_rest_run(start: Start) -> None:
    running = start("pytest", "tests/lab/dying_worker.py", "--vmlab-target", ONE, "-n", "1")
    assert running.child.wait(timeout=300) == 1
    output = running.log.read_text()
    assert "1 failed, 2 passed" in output, output
    assert running.left_behind() == []


def test_a_failing_tests_guest_is_kept_entered_and_reaped(start: Start, finish: Finish) -> None:
    running = start("pytest", "tests/lab/failing.py", "--vmlab-target", ONE, "--vmlab-keep")
    assert running.child.wait(timeout=300) == 1
    output = running.log.read_text()
    way_in = re.search(r"its guest was kept: vmlab shell (kept-\d+)", output)
    assert way_in is not None, output
    try:
        assert finish("vmlab", "shell", way_in[1], "cat", "evidence").output.strip().endswith("evidence")
        # Another run cleans up after dead runs, but leaves this kept guest alone.
        assert finish("pytest", "tests/lab/killed.py", "-k", "another", "--vmlab-target", ONE).status == 0
        assert finish("vmlab", "shell", way_in[1], "exit", "7").status == 7
    finally:
        reaped = finish("vmlab", "reap")
    assert f"of {ONE}" in reaped.output
    assert running.left_behind() == []
    gone = finish("vmlab", "shell", way_in[1], "true")
    assert gone.status == 2
    assert f"unknown kept guest {way_in[1]!r}" in gone.output


def test_a_shell_begins_in_a_fork_with_the_module_loaded(finish: Finish) -> None:
    module = Path(__file__).parents[2] / "fibdrv"
    finished = finish("vmlab", "shell", "--loaded", str(module), ONE, "head", "-n", "3", "/dev/fibonacci")
    assert finished.status == 0
    assert finished.output.split()[-3:] == ["0", "1", "1"]
    assert "booting" not in finished.output
