# SPDX-License-Identifier: MIT
"""Limits of fibdrv's arithmetic: its time compared with GMP and Python, its memory, and its cost in the kernel.

Times are ratios from one run on one host, each side's minimum of many alternating runs; instructions are counted in
guests. GMP is the libgmp.so.10 of the host or guest, a dependency of gcc: nothing needs to be installed.
"""

from __future__ import annotations

import functools
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from forks import ROOT, new_lab
from rows import Limit, Measured
from timing import timed_fork

from vmlab.guest.guest import Guest
from vmlab.timing.operation import Parts, Read
from vmlab.timing.series import TimingSource

_INDICES = (100, 1_000, 10_000, 100_000, 1_000_000)
_PYTHON_INDICES = (200, 500, 1_000, 10_000, 100_000)
_LARGEST = 10_000_000
_ARM64_TARGET = "debian12-6.1-arm64"
_KERNEL_TARGET = "debian12-6.1"
_KERNEL_INDICES = (1_000, 100_000, 1_000_000)
_COMPUTING_FROM = 100_000
"""Smallest index to compare: below it, the kernel's allocator and clock are a large part of the driver's time."""
_ROUNDS = 20

Costs = dict[int, tuple[float, ...]]
"""Cost by index: fibdrv's arithmetic, and GMP's."""


@functools.cache
def _directory() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


@functools.cache
def _fibbench() -> Path:
    """fibbench, compiled for the host as `Lab.program` compiles it for a guest."""
    compiled = Path(_directory().name) / "fibbench"
    source = ROOT / "fibdrv/test/fibbench.c"
    _run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-pthread", "-o", str(compiled), str(source)])
    return compiled


def _run(command: Sequence[str], text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _parse(said: str) -> Costs:
    rows = [line.split("\t") for line in said.splitlines()]
    return {int(n): tuple(map(float, costs)) for _, n, *costs in rows}


def _words(what: str, indices: Sequence[int], *options: str) -> list[str]:
    return [*options, what, *map(str, indices)]


def _beside_gmp(costs: Costs) -> Measured:
    """The worst ratio over the indices, with all ratios as conditions."""
    ratios = {n: own / gmp for n, (own, gmp) in costs.items()}
    told = {f"F({n})": f"{ratio:.2f}" for n, ratio in ratios.items()}
    return Measured(value=max(ratios.values()), conditions=told)


def fib() -> Measured:
    """F(n), compared with mpz_fib_ui."""
    return _beside_gmp(_parse(_run([str(_fibbench()), *_words("fib", _INDICES)])))


def decimal() -> Measured:
    """F(1,000,000) and its digits, compared with mpz_fib_ui and mpz_get_str."""
    return _beside_gmp(_parse(_run([str(_fibbench()), *_words("decimal", _INDICES[-1:])])))


def _python_fib(n: int) -> int:
    """The driver's doubling: two squarings per bit, and one product at the end."""
    b, a, odd = 1, 0, False
    for bit in bin(n)[2:-1]:
        square_a, square_b = a * a, b * b
        before = square_a + square_b
        after = 4 * square_a - square_b + (-2 if odd else 2)
        odd = bit == "1"
        a, b = (after, after - before) if odd else (after - before, before)
    if n % 2:
        return (2 * a + b) * (2 * a - b) + (-2 if odd else 2)
    return a * (a + 2 * b)


def _python_ns(n: int) -> float:
    times = max(1, 20_000 // n)
    taken = []
    for _ in range(_ROUNDS):
        begun = time.thread_time_ns()
        for _ in range(times):
            _python_fib(n)
        taken.append((time.thread_time_ns() - begun) / times)
    return min(taken)


def python() -> Measured:
    """F(n), compared with the same doubling on Python's integers: the worst ratio from n = 200 on."""
    ratios = {}
    for n in _PYTHON_INDICES:
        ((own, *_),) = _parse(_run([str(_fibbench()), *_words("fib", [n], "--own")])).values()
        ratios[n] = own / _python_ns(n)
    told = {f"F({n})": f"{ratio:.3f}" for n, ratio in ratios.items()}
    return Measured(value=max(ratios.values()), conditions=told)


def memory() -> Measured:
    """Peak memory of computing F(n) relative to its bytes, and of its text relative to the text's bytes."""
    _run(["make", "-s", "-C", str(ROOT / "fibdrv"), "test/build/fibcli"])
    indices = (100_000, 1_000_000, 3_000_000, _LARGEST)
    said = _run([str(ROOT / "fibdrv/test/build/fibcli"), "decimal", "--peak"], "\n".join(map(str, indices)))
    ratios = {}
    for line in said.splitlines():
        n, number, computing, text, converting = map(int, line.split("\t"))
        ratios[f"F({n})"] = computing / number
        ratios[f"digits of F({n})"] = converting / text
    return Measured(value=max(ratios.values()), conditions={what: f"{ratio:.2f}" for what, ratio in ratios.items()})


def _in_guest(target: str, source: TimingSource, use: Callable[[Guest, str], Costs]) -> Costs:
    with new_lab() as lab, timed_fork(lab, source, target) as found:
        running = found.running
        compiled = lab.testbed(running.target).program("test/fibbench.c")
        running.guest.put(compiled, "/tmp/fibbench")
        return use(running.guest, "/tmp/fibbench")


def _counted(what: str, indices: Sequence[int]) -> Measured:
    def use(guest: Guest, fibbench: str) -> Costs:
        words = _words(what, indices, "--clock", "instructions")
        return _parse(guest.succeed(f"sudo {fibbench} {' '.join(words)}", timeout_s=600))

    return _beside_gmp(_in_guest(_ARM64_TARGET, TimingSource.EMULATED_PMU, use))


def fib_arm64() -> Measured:
    """F(n) compared with mpz_fib_ui on arm64, in instructions counted by the emulated PMU."""
    return _counted("fib", _INDICES)


def decimal_arm64() -> Measured:
    """The digits of F(1,000,000) compared with GMP's on arm64, in instructions."""
    return _counted("decimal", _INDICES[-1:])


def kernel() -> Measured:
    """Instructions for F(n) in the kernel, as the driver reports them, compared with user space.

    Both run in one guest, at one instruction per nanosecond. The result is the kernel's excess in per cent: the worst
    from F(100,000) on, with all others as conditions. Debian's kernels zero allocated memory with an instruction that
    QEMU counts for every byte. User space therefore does the same; the figure without it is also given.
    """
    differences, unzeroed = {}, {}
    stats = Parts(request=0x8038FB03, size=56, offsets={"compute": 24})
    with new_lab() as lab, timed_fork(lab, TimingSource.ICOUNT, _KERNEL_TARGET) as found:
        running = found.running
        compiled = lab.testbed(running.target).program("test/fibbench.c")
        running.guest.put(compiled, "/tmp/fibbench")
        words = ["sudo", "/tmp/fibbench", *_words("fib", _KERNEL_INDICES, "--clock", "elapsed", "--own")]
        user = _parse(running.guest.succeed(" ".join(words), timeout_s=600))
        zeroed = _parse(running.guest.succeed(" ".join([*words[:2], "--zeroed", *words[2:]]), timeout_s=600))
        for n in _KERNEL_INDICES:
            read = Read(path="/dev/fibonacci", offset=n, size=n, parts=stats)
            kernel_cost = min(found.stopwatch.measure(read, batches=8, warmup=1).parts["compute"])
            differences[n] = (kernel_cost / zeroed[n][0] - 1) * 100
            unzeroed[n] = (kernel_cost / user[n][0] - 1) * 100
    told = {f"F({n})": f"{differences[n]:+.2f} %, {unzeroed[n]:+.2f} % without zeroing" for n in _KERNEL_INDICES}
    worst = max(difference for n, difference in differences.items() if n >= _COMPUTING_FROM)
    return Measured(value=worst, conditions=told)


LIMITS = (
    Limit(name="arithmetic fib", limit=2, unit="x GMP's time", measure=fib),
    Limit(name="arithmetic decimal", limit=3, unit="x GMP's time", measure=decimal),
    Limit(name="arithmetic python", limit=1, unit="x Python's time", measure=python),
    Limit(name="arithmetic memory", limit=6, unit="x the result", measure=memory),
    Limit(name="arithmetic fib arm64", limit=2, unit="x GMP's instructions", measure=fib_arm64),
    Limit(name="arithmetic decimal arm64", limit=3, unit="x GMP's instructions", measure=decimal_arm64),
    Limit(name="arithmetic kernel", limit=5, unit="% more than user space", measure=kernel),
)
