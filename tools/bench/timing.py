# SPDX-License-Identifier: MIT
"""Limits of timing: repeatability of counts, and detectable changes.

All measured on a busy host, where elapsed time means nothing. The sources must be proved; a fallback to another source
is an error, without a figure.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from forks import ROOT, new_lab
from rows import Limit, Measured

from vmlab.lab.freezer import Stage
from vmlab.lab.interleaved import in_turns
from vmlab.lab.lab import Lab
from vmlab.lab.timed import Timed, fork_timed
from vmlab.settings import load_settings
from vmlab.timing.compare import Verdict, compare
from vmlab.timing.operation import Loop, Operation, Read
from vmlab.timing.series import Series, TimingSource
from vmlab.timing.stopwatch import Measurement, new_interleaving

TARGET = "debian12-6.1"
_ARM64_TARGET = "debian12-6.1-arm64"
_FORKS = 10
_TRIALS = 20
_SQUARING = "\terr = bn_square(product, fk, d->size, d->work);\n\tif (!err)"
"""Start of each round of the loop that computes F(n), in arith/fib.c."""
_SQUARING_ROUNDS = 2
"""Number of those rounds for F(1000): from F(125) to F(500)."""
_CHANGE = 0.005
_CLOCK_TRIALS = 50
_LOOP = 100_000
_SPINNERS = 4
READ = Read(path="/dev/fibonacci", offset=1_000, size=300)


@contextlib.contextmanager
def _busy_host() -> Iterator[None]:
    """Run more competing processes than there are processors, as a context manager."""
    spinners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(_SPINNERS)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()


def _ppm(figures: list[float]) -> float:
    return (max(figures) - min(figures)) / min(figures) * 1e6


@contextlib.contextmanager
def timed_fork(lab: Lab, source: TimingSource, target: str = TARGET) -> Iterator[Timed]:
    (chosen,) = lab.matrix.select(target)
    with fork_timed(lab, chosen, Stage.LOADED, accepted=(source,)) as timed:
        yield timed


def _ten_forks(operation: Operation, batches: int) -> tuple[list[Measurement], dict[str, str]]:
    taken = []
    with new_lab() as lab, _busy_host():
        for _ in range(_FORKS):
            with timed_fork(lab, TimingSource.ICOUNT) as timed:
                taken.append(timed.stopwatch.measure(operation, batches=batches))
    return taken, {"forks": str(_FORKS), "batches": str(batches), "other work": f"{_SPINNERS} spinning processes"}


def icount_loop() -> Measured:
    """The same loop in ten forks: spread of the minimum counts."""
    taken, conditions = _ten_forks(Loop(_LOOP), 40)
    figures = [measured.minimum for measured in taken]
    return Measured(value=_ppm(figures), conditions=conditions | {"least": f"{min(figures):.0f} to {max(figures):.0f}"})


def icount_read() -> Measured:
    """The same read of F(1000) in ten forks: spread of the reported figures, with the plain minima as conditions."""
    taken, conditions = _ten_forks(READ, 200)
    figures = [measured.best for measured in taken]
    minima = [measured.minimum for measured in taken]
    told = {"figures": f"{min(figures):.0f} to {max(figures):.0f}", "plain minima": f"{_ppm(minima):.0f} ppm apart"}
    return Measured(value=_ppm(figures), conditions=conditions | told)


def _variant(directory: Path, name: str, nops: int) -> Path:
    """fibdrv under the same name, with `nops` more instructions in each round of its loop."""
    copy = directory / name / "fibdrv"
    shutil.copytree(ROOT / "fibdrv", copy)
    source = copy / "arith/fib.c"
    text = source.read_text(encoding="utf-8")
    extra = f'asm volatile(".rept {nops}\\n\\tnop\\n\\t.endr");' if nops else f"/* {name} */"
    if text.count(_SQUARING) != 1:
        raise RuntimeError(f"{source} has no hot loop that begins {_SQUARING!r}")
    source.write_text(text.replace(_SQUARING, f"\t{extra}\n{_SQUARING}"), encoding="utf-8")
    return copy


def _trials(nops: int, verdict: Verdict) -> Measured:
    """Number of trials, of twenty, with a wrong verdict on two builds of fibdrv."""
    wrong = 0
    differences = []
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        labs = []
        for name, count in (("as it is", 0), ("changed", nops)):
            module = _variant(Path(directory), name, count)
            settings = load_settings({"report": directory, "module": str(module)}, directory=ROOT)
            labs.append(Lab(settings))
        stack.enter_context(_busy_host())
        for _ in range(_TRIALS):
            sides: list[Series] = []
            for lab in labs:
                with timed_fork(lab, TimingSource.ICOUNT) as timed:
                    measured = timed.stopwatch.measure(READ, batches=100)
                    sides.append(timed.stopwatch.series("read", {READ.offset: measured}))
            found = compare(sides[0], sides[1])
            wrong += found.verdict is not verdict
            differences.append(found.points[0].difference)
    spread = f"{min(differences):+.0f} to {max(differences):+.0f} instructions"
    return Measured(value=wrong, conditions={"trials": str(_TRIALS), "differences seen": spread})


def icount_change() -> Measured:
    """0.5 % more instructions in the loop that computes F(1000): trials without the verdict slower."""
    with new_lab() as lab, timed_fork(lab, TimingSource.ICOUNT) as timed:
        cost = timed.stopwatch.measure(READ, batches=100).best
    return _trials(math.ceil(_CHANGE * cost / _SQUARING_ROUNDS), Verdict.SLOWER)


def icount_no_change() -> Measured:
    """One more comment in the source: trials without the verdict same."""
    return _trials(0, Verdict.SAME)


def _clock_trials(other: Operation | None, operation: Operation) -> list[Verdict]:
    found = []
    with (
        new_lab() as lab,
        timed_fork(lab, TimingSource.CLOCK) as first,
        timed_fork(lab, TimingSource.CLOCK) as second,
    ):
        for _ in range(_CLOCK_TRIALS):
            both = in_turns(first, second, operation, other)
            turns = new_interleaving()
            sides = [
                timed.stopwatch.series("trial", {1: measured}, interleaving=turns)
                for timed, measured in zip((first, second), both, strict=True)
            ]
            found.append(compare(sides[0], sides[1]).verdict)
    return found


def _counted(found: list[Verdict]) -> dict[str, str]:
    return {str(verdict): str(found.count(verdict)) for verdict in Verdict} | {"load": f"{os.getloadavg()[0]:.1f}"}


def clock_alike() -> Measured:
    """Reads of F(1000) in two forks of one snapshot: trials with the verdict faster or slower."""
    found = _clock_trials(None, READ)
    false = sum(verdict in (Verdict.FASTER, Verdict.SLOWER) for verdict in found)
    return Measured(value=false, conditions=_counted(found))


def clock_slowdown() -> Measured:
    """A loop with 20 % more rounds: trials without the verdict slower."""
    found = _clock_trials(Loop(_LOOP * 12 // 10), Loop(_LOOP))
    return Measured(value=sum(verdict is not Verdict.SLOWER for verdict in found), conditions=_counted(found))


def emulated_pmu() -> Measured:
    """A loop of 2,000,000 instructions on arm64 in ten forks: the largest error of a count."""
    counts = []
    with new_lab() as lab, _busy_host():
        for _ in range(_FORKS):
            with timed_fork(lab, TimingSource.EMULATED_PMU, _ARM64_TARGET) as timed:
                taken = timed.stopwatch.measure(Loop(1_000_000), batches=20, counter="instructions:u")
                counts.append(taken.minimum)
    worst = max(abs(count / 2_000_000 - 1) for count in counts)
    return Measured(value=worst * 100, conditions={"counts": f"{min(counts):.0f} to {max(counts):.0f}"})


def cost_of_counting() -> Measured:
    """A loop of 200 million instructions with `-icount`, relative to plain TCG, in seconds on the host."""
    took = {}
    with new_lab() as lab:
        for source in (TimingSource.ICOUNT, TimingSource.CLOCK):
            with timed_fork(lab, source) as timed:
                started = time.monotonic()
                timed.stopwatch.measure(Loop(10_000_000), batches=10, warmup=0)
                took[source] = time.monotonic() - started
    ratio = took[TimingSource.ICOUNT] / took[TimingSource.CLOCK]
    return Measured(value=ratio, conditions={str(source): f"{seconds:.2f} s" for source, seconds in took.items()})


def overhead() -> Measured:
    """Cost of reading the counter before and after a batch, in instructions; it is subtracted from each sample."""
    with new_lab() as lab, timed_fork(lab, TimingSource.ICOUNT) as timed:
        return Measured(value=timed.stopwatch.measure(Loop(1)).overhead)


LIMITS = (
    Limit(name="timing icount loop", limit=1, unit="ppm", measure=icount_loop),
    Limit(name="timing icount read", limit=20, unit="ppm", measure=icount_read),
    Limit(name="timing icount change of 0.5 %", limit=0, unit="missed of 20", measure=icount_change),
    Limit(name="timing icount no change", limit=0, unit="false of 20", measure=icount_no_change),
    Limit(name="timing emulated-pmu loop", limit=0.1, unit="%", measure=emulated_pmu),
    Limit(name="timing clock alike", limit=0, unit="false of 50", measure=clock_alike),
    Limit(name="timing clock slowdown of 20 %", limit=5, unit="missed of 50", measure=clock_slowdown),
    Limit(name="timing cost of -icount", limit=4, unit="x plain TCG", measure=cost_of_counting),
    Limit(name="timing overhead", limit=50, unit="instructions", measure=overhead),
)
