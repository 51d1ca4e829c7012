# SPDX-License-Identifier: MIT
"""Limits of runs on several machines: the cost of merging results, and the balance of shards."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rows import Limit, Measured

from vmlab import __version__
from vmlab.plugin.balance import Load, costs, split
from vmlab.report.durations import Expected, read_durations
from vmlab.report.files import write_result
from vmlab.report.model import SCHEMA, Outcome, RunResult, ShardFacts, TargetResult, TestResult

RECORDED = Path(__file__).parents[2] / "tests" / "durations.json"
_SHARDS, _RESULTS, _TARGETS = 100, 1000, 4
_REPETITIONS = 3
_COUNTS = (2, 3, 4, 5, 6, 8)


def merge() -> Measured:
    """The whole command, from the interpreter's start to the written file; the fastest of several runs."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        for index in range(1, _SHARDS + 1):
            _write_shard(place / "in" / str(index), index)
        times = []
        for _ in range(_REPETITIONS):
            started = time.monotonic()
            done = subprocess.run(
                [sys.executable, "-m", "vmlab", "report", "merge", "--out", str(place / "out"), str(place / "in")],
                capture_output=True,
                text=True,
                check=False,
            )
            times.append(time.monotonic() - started)
            if done.returncode != 1 or "MISSING" in done.stdout:
                raise RuntimeError(f"the merge ended with status {done.returncode}: {done.stderr[-500:]}")
        size_mib = (place / "out" / "results.json").stat().st_size / 2**20
    return Measured(
        value=min(times),
        conditions={
            "shards": str(_SHARDS),
            "results each": str(_RESULTS),
            "merged": f"{size_mib:.0f} MiB",
            "repetitions": str(_REPETITIONS),
            "slowest": f"{max(times):.1f} s",
        },
    )


def _write_shard(place: Path, index: int) -> None:
    rows = tuple(_row(f"debian{number}-6.{number}", index) for number in range(_TARGETS))
    result = RunResult(
        schema=SCHEMA,
        vmlab=__version__,
        started="2026-11-25T02:00:00+00:00",
        module="fibdrv",
        settings={},
        targets=rows,
        shard=ShardFacts(index=index, count=_SHARDS, run="0" * 16, tests=_RESULTS),
    )
    write_result(result, place)


def _row(target: str, index: int) -> TargetResult:
    """One failure in fifty, with a reason of realistic length."""
    why = "kernel: WARNING: CPU: 0 PID: 338 at /build/fibdrv/fibdrv_main.c:222 fib_read+0x1f/0x40 [fibdrv]"
    tests = []
    for number in range(_RESULTS // _TARGETS):
        is_bad = number % 50 == 0
        tests.append(
            TestResult(
                test=f"correctness::test_read_returns_exact_fibonacci[{index}-{number}]",
                target=target,
                outcome=Outcome.FAILED if is_bad else Outcome.PASSED,
                duration_s=1.25,
                reason=why if is_bad else "",
            )
        )
    return TargetResult(target=target, facts=None, tests=tuple(tests))


def balance() -> Measured:
    """The longest shard over the mean, from the matrix's recorded durations: the worst of several shard counts."""
    recorded = read_durations(RECORDED)
    expected = Expected(recorded)
    loads = [
        Load(key=f"{test} on {target}", group=target, cost_s=took)
        for target, durations in recorded.targets.items()
        for test, took in durations.tests.items()
    ]
    setups = {target: expected.setup_s(target) for target in recorded.targets}
    ratios = {}
    for count in _COUNTS:
        found = costs(split(loads, count, setups=setups), loads, setups=setups)
        ratios[count] = max(found) * count / sum(found)
    return Measured(
        value=max(ratios.values()),
        conditions={
            "targets": ", ".join(recorded.targets),
            "tests": str(len(loads)),
            "by shards": ", ".join(f"{count}: {ratio:.3f}" for count, ratio in ratios.items()),
        },
    )


LIMITS = (
    Limit(name="scale.merge", limit=3, unit="s", measure=merge),
    Limit(name="scale.balance", limit=1.15, unit="× mean", measure=balance),
)
