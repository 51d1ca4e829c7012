# SPDX-License-Identifier: MIT
"""A run's figures follow its table: a short line per series, and no section without measurements."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.timing.measures import series
from vmlab.report.measured import measured_lines, shown_path
from vmlab.timing.series import TimingSource


def test_a_series_is_one_line_with_what_counted_and_the_cost_by_size() -> None:
    rows = [series({1: [900.0], 1000: [12_345.0]}, name="read", source=TimingSource.ICOUNT)]

    assert measured_lines(rows, report="build/vmlab") == [
        "debian12-6.1: read, instructions (icount) per operation: 900 at n=1, 12,345 at n=1000",
        "figures: vmlab series build/vmlab, vmlab plot build/vmlab",
    ]


def test_nothing_recorded_is_no_line() -> None:
    assert measured_lines([], report="build/vmlab") == []


def test_many_sizes_are_cut_and_the_largest_stays() -> None:
    (line, _) = measured_lines([series({n: [float(n)] for n in range(20)})], report="r")

    assert line.endswith("0 at n=0, 1 at n=1, 2 at n=2, 3 at n=3, … 19 at n=19")


def test_many_series_of_a_target_are_counted() -> None:
    rows = [series([1.0], name=f"s{number}") for number in range(10)]

    lines = measured_lines([*rows, series([1.0], target="debian13-7.3")], report="r")

    assert len(lines) == 9
    assert lines[6:8] == ["debian12-6.1: and 4 more series", lines[7]]
    assert lines[7].startswith("debian13-7.3: ")


def test_a_name_cannot_steer_the_terminal() -> None:
    (line, _) = measured_lines([series([1.0], name="a\x1b[2J")], report="r")

    assert "\x1b" not in line


def test_a_report_below_the_working_directory_is_named_as_one_types_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert shown_path(tmp_path / "build" / "my run") == "'build/my run'"
    assert shown_path(Path("/elsewhere/run")) == "/elsewhere/run"
