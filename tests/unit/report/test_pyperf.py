# SPDX-License-Identifier: MIT
"""The pyperf export is readable by pyperf itself."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pyperf
import pytest

from unit.timing.measures import document, series
from vmlab.errors import UsageError
from vmlab.report.pyperf import write_pyperf
from vmlab.timing.document import SeriesDocument
from vmlab.timing.series import TimingSource, Unit


def _suite(written: SeriesDocument, path: Path) -> dict[str, pyperf.Benchmark]:
    assert write_pyperf(written, path) == []
    return {benchmark.get_name(): benchmark for benchmark in pyperf.BenchmarkSuite.load(str(path)).get_benchmarks()}


def _pyperf(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout


def test_nanoseconds_become_seconds_and_counts_stay_whole(tmp_path: Path) -> None:
    rows = (
        series([1500.0, 2500.0], name="clock"),
        series([2e6, 2e6 + 1], name="icount", source=TimingSource.ICOUNT),
        series([3e6], name="pmu", source=TimingSource.PMU, unit=Unit.CYCLES),
    )
    suite = _suite(document(*rows), tmp_path / "out.json")
    clock, icount, pmu = (suite[f"{name} n=92 on debian12-6.1"] for name in ("clock", "icount", "pmu"))
    assert (clock.get_unit(), clock.get_values()) == ("second", (1.5e-6, 2.5e-6))
    assert (icount.get_unit(), icount.get_values()) == ("integer", (2_000_000, 2_000_001))
    assert (pmu.get_unit(), pmu.get_values()) == ("integer", (3_000_000,))


def test_what_a_figure_depended_on_goes_along_and_an_empty_word_does_not(tmp_path: Path) -> None:
    (benchmark,) = _suite(document(series([1.0])), tmp_path / "out.json").values()
    facts = benchmark.get_metadata()
    assert (facts["vmlab_release"], facts["vmlab_source"], facts["vmlab_n"]) == ("6.1.0-56-cloud-amd64", "clock", 92)
    assert (facts["date"], facts["host_processor"]) == ("2026-11-23 02:00:00", "EPYC")
    assert "vmlab_kernel_compiler" not in facts


def test_every_series_and_size_has_a_name_of_its_own(tmp_path: Path) -> None:
    sizes = {1: [1.0], 2: [2.0]}
    rows = [series(sizes, name=name, target=target) for name in "ab" for target in ("x", "y")]
    rows.append(series(sizes, name="a", target="x", source=TimingSource.ICOUNT))
    suite = _suite(document(*rows), tmp_path / "out.json")
    assert len(suite) == 10
    assert "a n=1 on x by icount in instructions" in suite
    assert "b n=2 on y" in suite


def test_names_that_pyperf_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="duplicate pyperf benchmark 'a b n=92"):
        write_pyperf(document(series([1.0], name="a\nb"), series([1.0], name="a b")), tmp_path / "out.json")


def test_pyperf_compares_two_exports(tmp_path: Path) -> None:
    for name, cost in (("before", 1000.0), ("after", 2000.0)):
        samples = [cost + number for number in range(20)]
        write_pyperf(document(series(samples, name="fib\n read")), tmp_path / f"{name}.json")
    told = _pyperf("compare_to", str(tmp_path / "before.json"), str(tmp_path / "after.json"))
    assert "1.01 us +- 0.01 us -> [after] 2.01 us +- 0.01 us: 1.99x slower" in told
    assert "Mean +- std dev: 1.01 us +- 0.01 us" in _pyperf("show", str(tmp_path / "before.json"))
    assert "Total number of values: 20" in _pyperf("stats", str(tmp_path / "before.json"))


def test_what_pyperf_does_not_take_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    left_out = write_pyperf(document(series({1: [5.0], 2: [5.0, 0.0]})), path)
    assert left_out == [
        "left out: fib n=2 on debian12-6.1: a sample is 0, pyperf accepts only samples above 0",
    ]
    assert len(pyperf.BenchmarkSuite.load(str(path)).get_benchmarks()) == 1
    with pytest.raises(UsageError, match="pyperf accepts none of these"):
        write_pyperf(document(series([-1.0])), path)


def test_a_document_that_knows_little_is_exported_too(tmp_path: Path) -> None:
    bare = replace(document(replace(series([1.0]), provenance=None), host={}), date="yesterday")
    (benchmark,) = _suite(bare, tmp_path / "out.json").values()
    assert "date" not in benchmark.get_metadata()
