# SPDX-License-Identifier: MIT
"""Limits of reading fibdrv: cost of sequential reads relative to random reads, and the delay of a kill.

All in guests that count instructions: their time is that count, independent of the host's load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from forks import new_lab
from rows import Limit, Measured
from timing import timed_fork

from vmlab.guest.guest import Guest
from vmlab.timing.series import TimingSource

TARGET = "debian12-6.1"
_N = 10_000
_NEAR, _FAR = 5_000, 20_000
_ROW = re.compile(r"^ *(?P<n>\d+)  (?P<way>here and there|reading on) +(?P<whole>\d+) ", re.MULTILINE)
_DEVICE = "/dev/fibonacci"


@contextmanager
def _counted(program: str) -> Iterator[tuple[Guest, str]]:
    """An instruction-counting guest with the module loaded, and the path of a fibdrv program in it."""
    with new_lab() as lab, timed_fork(lab, TimingSource.ICOUNT, TARGET) as found:
        running = found.running
        compiled = lab.testbed(running.target).program(program)
        running.guest.put(compiled, "/tmp/program")
        yield running.guest, "/tmp/program"


def _costs(*indices: int) -> Mapping[tuple[int, str], int]:
    """Instructions of a read, by index and kind of reading, from `fibctl --bench`."""
    with _counted("tools/fibctl.c") as (guest, fibctl):
        said = guest.succeed(f"{fibctl} --bench {' '.join(map(str, indices))}")
    costs = {(int(row["n"]), row["way"]): int(row["whole"]) for row in _ROW.finditer(said)}
    if len(costs) != 2 * len(indices):
        raise RuntimeError(f"fibctl --bench said: {said}")
    return costs


def reading_on() -> Measured:
    """A sequential decimal read of F(10,000), as a fraction of a random one."""
    costs = _costs(_N)
    on, random = costs[_N, "reading on"], costs[_N, "here and there"]
    return Measured(value=on / random, conditions={"instructions": f"{on} beside {random}"})


def linear() -> Measured:
    """Cost of a sequential read per digit at F(20,000), relative to F(5,000): 1 if it is linear in the digits."""
    costs = _costs(_NEAR, _FAR)
    near, far = (costs[n, "reading on"] / _digits(n) for n in (_NEAR, _FAR))
    return Measured(value=far / near, conditions={"instructions a digit": f"{far:.2f} beside {near:.2f}"})


def _digits(n: int) -> float:
    return n * 0.20898764


def kill() -> Measured:
    """Time from SIGKILL during F(10,000,000) to the end of the process, in milliseconds of guest time."""
    taken = {}
    with _counted("test/fibstress.c") as (guest, fibstress):
        for signal in ("KILL", "INT"):
            said = guest.succeed(f"{fibstress} signal {_DEVICE} {signal} 10000000")
            taken[signal] = int(said.split()[-1]) / 1000
    return Measured(value=max(taken.values()), conditions={f"SIG{name}": f"{ms:.1f} ms" for name, ms in taken.items()})


LIMITS = (
    Limit(name="fibdrv reading on", limit=0.1, unit="of a random read", measure=reading_on),
    Limit(name="fibdrv reading on, linear", limit=1.05, unit="x a digit's cost nearby", measure=linear),
    Limit(name="fibdrv kill", limit=100, unit="ms of the guest's time", measure=kill),
)
