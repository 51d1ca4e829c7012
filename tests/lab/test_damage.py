# SPDX-License-Identifier: MIT
"""A damaged guest never affects the next test's guest."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from vmlab.catalogue.target import Target
from vmlab.report.model import LOST_STATUS

from .conftest import ZOO, Finished, Running

ONE = "debian12-6.1"


@pytest.fixture(autouse=True)
def _on_one_target(target: Target) -> None:
    if target.id not in (ONE, "debian13-7.3"):
        pytest.skip(f"runs on {ONE} and debian13-7.3: an old and a new kernel tell")


def test_ten_tests_pass_after_a_panic_a_hang_and_a_full_disk(start: Callable[..., Running], target: Target) -> None:
    # A hang is detected by time alone, so a low patience keeps the test short.
    options = ("--vmlab-module", str(ZOO / "hang"), "--vmlab-patience", "0.25")
    running = start("pytest", "tests/lab/damage.py", "--vmlab-target", target.id, *options)
    assert running.child.wait(timeout=600) == 1
    (row,) = json.loads((running.report / "results.json").read_text())["targets"]
    outcomes = [(test["test"].rpartition("::")[2].partition("[")[0], test["outcome"]) for test in row["tests"]]
    assert outcomes == [
        ("test_panics", "failed"),
        # Both processors are stuck, and the kernel still answers the NMI.
        ("test_hangs_with_interrupts_off", "failed"),
        ("test_fills_its_disk", "passed"),
        *[("test_notices_nothing", "passed")] * 10,
    ], running.log.read_text()
    assert row["facts"]["forks_discarded"] == 0
    assert running.left_behind() == []


def test_a_killed_qemu_loses_its_test_and_no_other(finish: Callable[..., Finished], target: Target) -> None:
    finished = finish("pytest", "tests/lab/killed.py", "--vmlab-target", target.id)
    assert finished.status == LOST_STATUS
    assert "1 passed, 1 lost" in finished.output, finished.output
    assert "QEMU ended with status -9" in finished.output
