# SPDX-License-Identifier: MIT
"""The stopwatch's commands, and the parsing of its program's output."""

from __future__ import annotations

import pytest

from unit.timing.fake_program import FakeProgram
from vmlab.errors import GuestError, UsageError
from vmlab.timing.operation import Command, Ioctl, Loop, Parts, Read, SeekRead, SystemCall, Write
from vmlab.timing.series import TimingSource, Unit, steady
from vmlab.timing.stopwatch import CounterUnusable, Measurement, Stopwatch, parse

PARTS = Parts(request=0x8038FB03, size=56, offsets={"compute": 24, "format": 32, "copy": 40})


def _watch(program: FakeProgram, source: TimingSource = TimingSource.ICOUNT) -> Stopwatch:
    return Stopwatch(guest=program, program="/tmp/stopwatch", source=source, target="debian12-6.1+icount")


def test_a_sample_is_one_operations_cost_without_what_measuring_costs() -> None:
    program = FakeProgram(overhead=70)
    measured = _watch(program).measure(SystemCall(), batches=4, iterations=10)
    assert measured.samples == (310.0,) * 4
    assert (measured.overhead, measured.iterations, measured.switches, measured.steal_ticks) == (70, 10, 4, 2)
    assert program.commands[0] == ["/tmp/stopwatch", *["-c", "tsc", "-b", "4", "-i", "10", "-w", "10", "syscall"]]


@pytest.mark.parametrize(
    ("source", "counter", "unit"),
    [
        (TimingSource.PMU, "instructions", Unit.INSTRUCTIONS),
        (TimingSource.EMULATED_PMU, "instructions", Unit.INSTRUCTIONS),
        (TimingSource.ICOUNT, "tsc", Unit.INSTRUCTIONS),
        (TimingSource.CLOCK, "clock", Unit.NS),
    ],
)
def test_each_source_has_its_counter_and_unit(source: TimingSource, counter: str, unit: Unit) -> None:
    program = FakeProgram()
    measured = _watch(program, source).measure(Loop(1))
    assert program.commands[0][2] == counter
    assert (measured.source, measured.unit) == (source, unit)
    assert _watch(program, TimingSource.PMU).measure(Loop(1), counter="cycles").unit is Unit.CYCLES


def test_operations_become_words() -> None:
    assert Read(path="/dev/x y", offset=3, size=9).words == ("pread", "/dev/x y", "3", "9")
    assert SeekRead(path="/dev/x", size=9).words == ("read", "/dev/x", "0", "9")
    assert Write(path="/dev/x", size=1).words == ("pwrite", "/dev/x", "0", "1")
    assert Ioctl(path="/dev/x", request=5, size=8).words == ("ioctl", "/dev/x", "5", "8")
    assert Command(("ls", "-l")).words == ("command", "ls", "-l")
    program = FakeProgram()
    _watch(program).measure(Read(path="/dev/x y; reboot", size=9))
    assert program.commands[0][-3] == "/dev/x y; reboot"


def test_a_device_tells_the_parts_and_the_rest_is_the_system_calls() -> None:
    measured = _watch(FakeProgram()).measure(Read(path="/dev/x", size=9, parts=PARTS), batches=2)
    assert measured.parts == {
        "compute": (100.0, 100.0),
        "format": (20.0, 20.0),
        "copy": (3.0, 3.0),
        "rest": (187.0, 187.0),
    }
    by_pmu = _watch(FakeProgram(), TimingSource.PMU).measure(Read(path="/dev/x", size=9, parts=PARTS))
    assert "rest" not in by_pmu.parts, "instructions less nanoseconds is nothing"
    with pytest.raises(GuestError, match="the parts of its last operation only"):
        _watch(FakeProgram()).measure(Read(path="/dev/x", size=9, parts=PARTS), iterations=2)


@pytest.mark.parametrize("offsets", [{"a": 49}, {"a": -1}, {}, {str(n): 0 for n in range(9)}])
def test_parts_outside_their_structure_are_refused(offsets: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="parts must be 1 to 8 offsets"):
        Parts(request=1, size=56, offsets=offsets)


def test_a_counter_that_fails_is_no_failure_of_the_operation() -> None:
    refused = FakeProgram(status=4, stdout="", stderr="counter: it counted for 5 of 10 ns only: multiplexed\n")
    with pytest.raises(CounterUnusable, match=r"^it counted for 5 of 10 ns only: multiplexed"):
        _watch(refused).measure(Loop(1))
    failed = FakeProgram(status=3, stdout="fact cpu 0\n", stderr="pread of 4 bytes at 9: Bad address\n")
    with pytest.raises(GuestError, match="the operation cannot be timed: pread of 4 bytes at 9: Bad address"):
        _watch(failed).measure(Loop(1))
    with pytest.raises(GuestError, match="the operation cannot be timed: status 139"):
        _watch(FakeProgram(status=139, stdout="")).measure(Loop(1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fact cpu 1\nnull 3\nsample 5 0\n",
        "null 3\nsample 5 0\nen",
        "null 3\nend\n",
        "sample 3 0\nend\n",
        "null 3\nsample x 0\nend\n",
        "null 3\nsample 3\nend\n",
        "null 3\nnews\nend\n",
    ],
)
def test_an_answer_that_is_not_whole_gives_no_figure(text: str) -> None:
    with pytest.raises(GuestError, match="stopwatch"):
        parse(text)


def test_the_figure_to_go_by_is_the_least_only_where_work_counts_the_same() -> None:
    def taken(source: TimingSource) -> Measurement:
        return Measurement(
            source=source, unit=Unit.NS, samples=(5, 1, 9), overhead=0, iterations=1, switches=0, steal_ticks=0
        )

    assert [taken(source).best for source in TimingSource] == [5, 1, 1, 5]


def test_the_steady_figure_is_what_most_batches_counted() -> None:
    assert steady([9_853] * 82 + [10_275] * 10 + [9_846] * 8) == 9_853, "a shorter way now and then is luck"
    assert steady([7]) == 7


def test_without_a_majority_the_steady_figure_is_the_least_that_is_no_rarity() -> None:
    assert steady([18_681] * 2 + [18_688] * 7 + [*range(18_700, 18_791)]) == 18_688, "two batches in a hundred are luck"


def test_a_series_carries_where_it_came_from() -> None:
    watch = _watch(FakeProgram())
    made = watch.series("read", {1: watch.measure(Loop(1), batches=2), 2: watch.measure(Loop(2), batches=3)})
    assert (made.name, made.target, made.source) == ("read", "debian12-6.1+icount", TimingSource.ICOUNT)
    assert [(point.n, len(point.samples)) for point in made.points] == [(1, 2), (2, 3)]
    with pytest.raises(GuestError, match="must have one unit"):
        watch.series("read", {})
