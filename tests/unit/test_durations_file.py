# SPDX-License-Identifier: MIT
"""This repository's recorded durations can split a run."""

from __future__ import annotations

from pathlib import Path

from vmlab.catalogue.matrix import load_matrix
from vmlab.report.durations import Expected, read_durations

_RECORDED = Path(__file__).parents[1] / "durations.json"


def test_the_recorded_durations_are_of_targets_that_there_are() -> None:
    recorded = read_durations(_RECORDED)
    assert set(recorded.targets) <= {target.id for target in load_matrix().variants}
    assert sum(len(row.tests) for row in recorded.targets.values()) > 100
    assert Expected(recorded).setup_s("debian13-6.12") > 0
