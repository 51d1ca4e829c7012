# SPDX-License-Identifier: MIT
"""Whole targets go to one worker, and the number of workers is limited by the host."""

from __future__ import annotations

import pytest

from vmlab.plugin import scheduling
from vmlab.plugin.node_ids import target_of, target_pattern
from vmlab.plugin.scheduling import workers_that_fit

IDS = ("debian12-6.1", "debian12-6.1-rt", "debian12-6.12")


@pytest.mark.parametrize(
    ("nodeid", "target"),
    [
        ("tests/test_a.py::test_x[debian12-6.1]", "debian12-6.1"),
        ("tests/test_b.py::test_y[debian12-6.1-hex]", "debian12-6.1"),
        ("tests/test_b.py::test_y[hex-debian12-6.1]", "debian12-6.1"),
        ("tests/test_a.py::test_x[debian12-6.1-rt]", "debian12-6.1-rt"),
        ("tests/test_a.py::test_x[debian12-6.12]", "debian12-6.12"),
        ("tests/test_a.py::test_without_a_guest", ""),
        ("tests/test_a.py::test_z[debian12]", ""),
    ],
)
def test_a_test_belongs_to_the_target_in_its_id(nodeid: str, target: str) -> None:
    assert target_of(nodeid, target_pattern(IDS)) == target


@pytest.mark.parametrize(
    ("cores", "free_mib", "targets", "fit"),
    [(8, 64000, 4, 4), (2, 64000, 4, 2), (8, 3600, 4, 2), (8, 900, 4, 1), (8, 64000, 1, 1)],
)
def test_targets_cores_and_memory_limit_the_workers(
    monkeypatch: pytest.MonkeyPatch, cores: int, free_mib: int, targets: int, fit: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    monkeypatch.setattr(scheduling, "available_memory_mib", lambda: free_mib)
    assert workers_that_fit(targets=targets, memory_mib=1024) == fit
