# SPDX-License-Identifier: MIT
"""Cost of a forked test by stage: QEMU's processor time and the blocks that it translates. The blocks hardly depend on
the host and its load. `python tools/bench/stages.py [TARGET] [TIMES]` prints the table."""

from __future__ import annotations

import contextlib
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from forks import new_lab
from rows import Limit, Measured

from vmlab.guest.connect import reach, root_opener
from vmlab.guest.fork_check import prove_fork
from vmlab.guest.guest import Guest
from vmlab.guest.watch import KernelWatch
from vmlab.lab.freezer import Cargo, SnapshotFacts, facts_of
from vmlab.lab.testbed import Testbed
from vmlab.machine.machine import Machine
from vmlab.machine.snapshot import SnapshotFiles

_TIMES = 5
_BLOCKS = re.compile(r"TB count\s+(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Processor time, elapsed time and translated blocks of one stage."""

    processor_s: float
    wall_s: float
    blocks: int


class Meter:
    """Costs of one machine's stages, in their order."""

    def __init__(self, machine: Machine, started: float) -> None:
        self._machine = machine
        self._last = (0.0, started, 0)
        self.costs: dict[str, Cost] = {}

    def stage(self, name: str, act: Callable[[], object] = lambda: None) -> None:
        """Do something as a stage of this name."""
        act()
        # The clock of another process (clock_getcpuclockid(3)).
        processor_s, wall_s = time.clock_gettime((~self._machine.pid << 3) | 2), time.monotonic()
        blocks = _translated(self._machine)
        before = self._last
        self.costs[name] = Cost(
            processor_s=processor_s - before[0], wall_s=wall_s - before[1], blocks=blocks - before[2]
        )
        self._last = (time.clock_gettime((~self._machine.pid << 3) | 2), time.monotonic(), blocks)


def _translated(machine: Machine) -> int:
    """Number of blocks that QEMU has translated; 0 under KVM."""
    told = machine.monitor.execute("human-monitor-command", {"command-line": "info jit"})
    found = _BLOCKS.search(str(told))
    return int(found[1]) if found else 0


def fork_once(testbed: Testbed, files: SnapshotFiles, facts: SnapshotFacts) -> dict[str, Cost]:
    """Costs of one fork's stages."""
    started = time.monotonic()
    with testbed.machines.machine(files.for_forks(testbed.image.disk)) as machine:
        meter, limits = Meter(machine, started), testbed.limits
        meter.stage("resume")
        with contextlib.ExitStack() as stack:
            guests: list[Guest] = []

            def connect() -> None:
                guest = Guest(
                    reach(machine, limits.connect_s, limits),
                    root_transport=root_opener(machine, limits, has_root_shell=True),
                    limits=limits,
                    console=machine.console,
                    log_position=facts.mark.log_position,
                )
                stack.callback(guest.close)
                guests.append(guest)

            meter.stage("SSH", connect)
            guest = guests[0]
            watch = KernelWatch(guest)
            meter.stage("proof", lambda: prove_fork(guest, facts.mark))
            meter.stage("watch begins", lambda: watch.begin("test_stages"))
            meter.stage("first command", lambda: guest.succeed("true"))
            meter.stage("second command", lambda: guest.succeed("true"))
            meter.stage("first program", lambda: guest.succeed("cat /proc/version"))
            meter.stage("second program", lambda: guest.succeed("cat /proc/version"))
            meter.stage("watch ends", watch.end)
    return meter.costs


def by_stage(target_id: str, times: int = _TIMES) -> dict[str, Cost]:
    """Medians of each stage's costs."""
    with new_lab() as lab:
        testbed = lab.testbed(lab.matrix.select(target_id)[0])
        snapshot = testbed.snapshots.obtain(Cargo())
        files, facts = SnapshotFiles(directory=snapshot.path), facts_of(snapshot)
        taken = [fork_once(testbed, files, facts) for _ in range(times)]
    return {name: _median([costs[name] for costs in taken]) for name in taken[0]}


def _median(costs: list[Cost]) -> Cost:
    return Cost(
        processor_s=statistics.median(cost.processor_s for cost in costs),
        wall_s=statistics.median(cost.wall_s for cost in costs),
        blocks=round(statistics.median(cost.blocks for cost in costs)),
    )


def translated_blocks() -> Measured:
    """Blocks that QEMU translates for a fork, its proof and one command; the worst of the default targets."""
    blocks: dict[str, int] = {}
    conditions: dict[str, str] = {}
    with new_lab() as lab:
        targets = [target.id for target in lab.targets]
    for name in targets:
        costs = by_stage(name)
        needed = [costs[stage] for stage in ("resume", "SSH", "proof", "watch begins", "first command", "watch ends")]
        blocks[name] = sum(cost.blocks for cost in needed)
        conditions[name] = f"{blocks[name]} in {sum(cost.processor_s for cost in needed):.2f} s of a processor"
    return Measured(value=max(blocks.values()), conditions=conditions | {"repetitions": f"{_TIMES}, median"})


def main(arguments: list[str]) -> int:
    target, times = [*arguments, *("debian12-6.1", str(_TIMES))[len(arguments) :]][:2]
    costs = by_stage(target, int(times))
    print(f"{target}, medians of {times}")
    print(f"{'stage':16} {'processor':>9} {'elapsed':>9} {'blocks':>8}")
    for name, cost in costs.items():
        print(f"{name:16} {cost.processor_s:7.3f} s {cost.wall_s:7.3f} s {cost.blocks:8}")
    total = (sum(cost.processor_s for cost in costs.values()), sum(cost.wall_s for cost in costs.values()))
    print(f"{'all':16} {total[0]:7.3f} s {total[1]:7.3f} s {sum(cost.blocks for cost in costs.values()):8}")
    return 0


LIMITS = (
    # 75,000 on 6.1 and 94,000 on 7.3; with random addresses and programs for the proof 110,000 on 6.1.
    Limit(name="forks.translated_blocks", limit=100_000, unit="blocks", measure=translated_blocks),
)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
