# SPDX-License-Identifier: MIT
"""Limits of forks: speed, memory, number, and no growth over time. Ratios are from one run on one host."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rows import Limit, Measured

from vmlab.catalogue.target import Target
from vmlab.lab.freezer import Cargo
from vmlab.lab.lab import Lab
from vmlab.lab.machines import Running
from vmlab.machine.machine import Machine
from vmlab.machine.snapshot import SnapshotFiles
from vmlab.settings import load_settings
from vmlab.system.scratch import scratch_directories

ROOT = Path(__file__).parents[2]
_TIMES = 7
_SETTLED_S = 5.0


@contextlib.contextmanager
def new_lab() -> Iterator[Lab]:
    """A lab whose consoles are discarded."""
    with tempfile.TemporaryDirectory() as report:
        yield Lab(load_settings({"report": report}, directory=ROOT))


def _first_command(running: Running, started: float) -> float:
    running.guest.succeed("true")
    return time.monotonic() - started


def _boot_s(lab: Lab, target: Target) -> float:
    """Seconds from the start of QEMU to the first answered command of a boot."""
    with lab.testbed(target).boot() as running:
        return _first_command(running, running.machine.started)


def running_guest() -> Measured:
    """Time until a fork's guest runs, as a share of a boot; the worst of the default targets."""
    ratios: dict[str, float] = {}
    conditions: dict[str, str] = {}
    with new_lab() as lab:
        for target in lab.targets:
            snapshot = lab.testbed(target).snapshots.obtain(Cargo())
            boot_s = _boot_s(lab, target)
            taken = []
            for _ in range(_TIMES):
                testbed = lab.testbed(target)
                files = SnapshotFiles(directory=snapshot.path).for_forks(testbed.image.disk)
                started = time.monotonic()
                machine: Machine = testbed.machines.machine(files)
                with machine:
                    taken.append(time.monotonic() - started)
            ratios[target.id] = statistics.median(taken) / boot_s
            conditions[target.id] = f"{statistics.median(taken):.3f} s against {boot_s:.1f} s"
    return Measured(value=max(ratios.values()), conditions=conditions | {"repetitions": f"{_TIMES}, median"})


def first_command() -> Measured:
    """Time of a fork and its proof to the first answered command over SSH, as a share of a boot's. The worst of the
    default targets."""
    ratios: dict[str, float] = {}
    conditions: dict[str, str] = {}
    with new_lab() as lab:
        for target in lab.targets:
            with lab.testbed(target).fork():
                pass
            boot_s = _boot_s(lab, target)
            taken = []
            for _ in range(_TIMES):
                started = time.monotonic()
                with lab.testbed(target).fork() as running:
                    taken.append(_first_command(running, started))
            ratios[target.id] = statistics.median(taken) / boot_s
            conditions[target.id] = f"{statistics.median(taken):.2f} s against {boot_s:.1f} s"
    return Measured(value=max(ratios.values()), conditions=conditions | {"repetitions": f"{_TIMES}, median"})


def private_memory() -> Measured:
    """Private memory of an idle fork; the maximum over the default targets."""
    taken: dict[str, int] = {}
    with new_lab() as lab:
        for target in lab.targets:
            with lab.testbed(target).fork() as running:
                running.guest.succeed("true")
                time.sleep(_SETTLED_S)
                taken[target.id] = _field_mib(running.machine.pid, "status", "RssAnon")
        accelerators = {testbed.rig.provenance.accelerator for testbed in lab.testbeds}
    conditions = {name: f"{mib} MiB" for name, mib in taken.items()}
    return Measured(value=max(taken.values()), conditions=conditions | {"accelerator": ", ".join(accelerators)})


def twelve_at_once() -> Measured:
    """Twelve forks of the four default targets, all answering: total memory, with shared memory counted once."""
    with new_lab() as lab, contextlib.ExitStack() as stack:
        running = [stack.enter_context(lab.testbed(target).fork()) for target in lab.targets for _ in range(3)]
        for one in running:
            one.guest.succeed("true")
        total_mib = sum(_field_mib(one.machine.pid, "smaps_rollup", "Pss") for one in running)
    return Measured(value=total_mib / 1024, conditions={"forks": str(len(running)), "measured as": "sum of Pss"})


def two_hundred() -> Measured:
    """Two hundred forks in sequence: the growth of this process from the twentieth to the last."""
    with new_lab() as lab:
        target = lab.matrix.select("debian12-6.1")[0]
        early: dict[str, int] = {}
        for number in range(200):
            with lab.testbed(target).fork() as running:
                running.guest.succeed("true")
            if number == 19:
                early = _belongings()
        late = _belongings()
    growth = {name: late[name] - early[name] for name in late}
    conditions = {name: f"{early[name]} then {late[name]}" for name in late}
    return Measured(value=max(growth.values()), conditions=conditions)


def _belongings() -> dict[str, int]:
    me = os.getpid()
    children = Path(f"/proc/{me}/task/{me}/children").read_text().split()
    for task in Path(f"/proc/{me}/task").iterdir():
        children += (task / "children").read_text().split()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "processes": len(set(children)),
        "directories": sum(f"-{me}-" in path.name for path in scratch_directories()),
        "resident MiB": _field_mib(me, "status", "VmRSS"),
    }


def _field_mib(pid: int, file: str, name: str) -> int:
    for line in Path("/proc", str(pid), file).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) // 1024
    raise KeyError(name)


LIMITS = (
    Limit(name="forks.running_guest", limit=1 / 100, unit="of a boot", measure=running_guest),
    Limit(name="forks.first_command", limit=1 / 20, unit="of a boot", measure=first_command),
    Limit(name="forks.private_memory", limit=160, unit="MiB", measure=private_memory),
    Limit(name="forks.twelve_at_once", limit=6, unit="GiB", measure=twelve_at_once),
    # A process retains some freed memory: a margin of two MiB for that, none for the rest.
    Limit(name="forks.two_hundred", limit=2, unit="more", measure=two_hundred),
)
