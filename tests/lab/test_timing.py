# SPDX-License-Identifier: MIT
"""Timing in real guests: exact sources are exact, and uncountable work gives no figure.

Under TCG on amd64 the exact source is `icount`, on arm64 `emulated-pmu`. The test of the processor's counters runs only
where KVM passes them through; elsewhere it is skipped with the reason.
"""

from __future__ import annotations

import pytest

from vmlab.catalogue.target import Architecture, Target
from vmlab.errors import GuestError
from vmlab.guest.guest import Guest
from vmlab.lab.lab import Lab
from vmlab.lab.timed import fork_timed
from vmlab.timing.operation import Command, Loop, Read, SystemCall, Write
from vmlab.timing.stopwatch import CounterUnusable, Stopwatch

EXACT = ("icount", "emulated-pmu")
_ROUNDS = 50_000


@pytest.mark.timing(*EXACT)
def test_two_forks_count_the_same_loop_to_the_instruction(stopwatch: Stopwatch, target: Target, vmlab_lab: Lab) -> None:
    counts = [stopwatch.measure(Loop(_ROUNDS), batches=30).minimum]
    with fork_timed(vmlab_lab, target, accepted=(stopwatch.source,)) as other:
        counts.append(other.stopwatch.measure(Loop(_ROUNDS), batches=30).minimum)
    assert counts[0] == counts[1]
    assert counts[0] == pytest.approx(2 * _ROUNDS, rel=1e-3)


@pytest.mark.timing(*EXACT)
def test_each_round_more_counts_two_instructions(stopwatch: Stopwatch) -> None:
    counts = [stopwatch.measure(Loop(rounds), batches=30).minimum for rounds in (1_000, 1_001, 1_010)]
    assert [count - counts[0] for count in counts] == [0, 2, 20]


def test_operations_of_every_kind_are_timed(stopwatch: Stopwatch) -> None:
    null, zero = Write(path="/dev/null", size=4096), Read(path="/dev/zero", size=4096)
    costs = {op.words[0]: stopwatch.measure(op, batches=20).best for op in (SystemCall(), null, zero)}
    assert all(cost > 0 for cost in costs.values())
    assert costs["pread"] > costs["syscall"], "a read of 4096 bytes beside the shortest system call"
    assert stopwatch.measure(Command(("true",)), batches=3, warmup=1).best > costs["pread"]


def test_an_operation_that_fails_is_no_figure(stopwatch: Stopwatch) -> None:
    for operation, why in (
        (Read(path="/dev/nothing", size=1), "open /dev/nothing: No such file or directory"),
        (Read(path="/dev/null", size=1), "pread of 1 bytes at 0: end of file"),
        (Command(("false",)), "false ended with status 1"),
        (Command(("/no/such/program",)), "/no/such/program ended with status 127"),
    ):
        with pytest.raises(GuestError, match=why):
            stopwatch.measure(operation)


def test_a_counter_that_the_guest_has_not_got_is_no_figure(stopwatch: Stopwatch, target: Target) -> None:
    if target.architecture is not Architecture.AMD64 or stopwatch.source == "pmu":
        pytest.skip(f"this guest has an instruction counter: {stopwatch.proof}")
    with pytest.raises(CounterUnusable, match="perf_event_open of instructions: errno 2"):
        stopwatch.measure(Loop(1), counter="instructions")


@pytest.mark.timing("pmu")
def test_the_processors_own_counters_count_user_space_and_kernel(stopwatch: Stopwatch, timed_guest: Guest) -> None:
    """Runs only with real KVM and a PMU."""
    user = stopwatch.measure(Loop(1_000_000), counter="instructions:u").median
    assert user == pytest.approx(2_000_000, rel=0.01)
    assert stopwatch.measure(Loop(1_000_000), counter="cycles:u").median > 100_000
    assert stopwatch.measure(SystemCall(), counter="instructions:k", iterations=1000).median > 10
    assert "instructions" in timed_guest.as_root("perf stat -e instructions true 2>&1")


@pytest.mark.timing("emulated-pmu")
def test_perf_counts_exactly_and_samples_on_the_emulated_pmu(stopwatch: Stopwatch, timed_guest: Guest) -> None:
    loop = f"{stopwatch.program} -b 1 -w 0 loop 1000000"
    counts = [_instructions(timed_guest, f"perf stat -x, -e instructions:u {loop}") for _ in range(2)]
    assert counts[0] == pytest.approx(counts[1], rel=1e-3)
    # Two batches, one of them a warm-up, at two instructions per round; the rest is the program itself.
    assert 4_000_000 < counts[0] < 5_000_000
    timed_guest.as_root(f"cd /tmp && perf record -q -e cycles -c 10000 -o perf.data {loop}")
    samples = timed_guest.as_root("perf script -i /tmp/perf.data -F event 2>/dev/null | wc -l")
    assert int(samples) > 100


def _instructions(guest: Guest, command: str) -> int:
    line = next(line for line in guest.as_root(f"{command} 2>&1 >/dev/null").splitlines() if "instructions" in line)
    return int(line.split(",")[0])
