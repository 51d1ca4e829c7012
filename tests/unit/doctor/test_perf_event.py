# SPDX-License-Identifier: MIT
"""The raw call: proved with a counter of the kernel's own, which every host with perf has."""

from __future__ import annotations

import errno
import os
import platform
from pathlib import Path

import pytest

from vmlab.doctor import perf_event
from vmlab.doctor.perf_event import (
    LONG,
    SHORT,
    SYSCALL_NUMBERS,
    Event,
    count_work,
    observe_pmu,
    open_event,
)
from vmlab.doctor.pmu import PmuState, judge_pmu

_TYPE_SOFTWARE, _TASK_CLOCK = 1, 1


def _spin(rounds: int) -> None:
    for _ in range(rounds):
        pass


def _task_clock() -> int:
    number = SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        pytest.skip(f"vmlab knows no perf_event_open on {platform.machine()}")
    try:
        return open_event(number, _TYPE_SOFTWARE, _TASK_CLOCK, 0)
    except OSError as error:
        pytest.skip(f"perf_event_open says {errno.errorcode[error.errno or 0]} here")


def _descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_the_call_counts_where_a_software_event_can() -> None:
    descriptor = _task_clock()
    try:
        short, long = count_work(descriptor, _spin, 100_000), count_work(descriptor, _spin, 1_000_000)
    finally:
        os.close(descriptor)
    # task-clock is in ns: it and the time that the event was enabled tell the same.
    assert 0 < short.value < long.value
    assert long.value == pytest.approx(long.enabled_ns, rel=0.2)
    assert long.running_ns == long.enabled_ns


def test_a_refusal_is_the_kernels_own_errno() -> None:
    os.close(_task_clock())
    no_such_type = 0x7FFFFFFF
    with pytest.raises(OSError) as caught:
        open_event(SYSCALL_NUMBERS[platform.machine()], no_such_type, 0, 0)
    assert caught.value.errno in (errno.ENOENT, errno.EINVAL)


def test_a_descriptor_is_not_left_behind() -> None:
    before = _descriptors()
    observe_pmu()
    assert _descriptors() == before


def test_this_host_is_seen_whatever_it_is() -> None:
    seen = observe_pmu()
    assert judge_pmu(seen).finding
    if platform.machine() in SYSCALL_NUMBERS:
        assert [attempt.name for attempt in seen.attempts] == [
            "instructions:u",
            "instructions:k",
            "cycles:u",
            "cycles:k",
        ]
    for attempt in seen.attempts:
        assert bool(attempt.errno) is not (attempt.short is not None and attempt.long is not None)


def test_a_pmu_that_counts_follows_the_work() -> None:
    """Only a host with a PMU shows it."""
    pmu = judge_pmu(seen := observe_pmu())
    if pmu.state is not PmuState.COUNTS:
        pytest.skip(f"this host's PMU is {pmu.state}: {pmu.finding}")
    attempt = seen.attempt(Event.INSTRUCTIONS, is_kernel=False)
    assert attempt is not None
    assert attempt.short is not None
    assert attempt.long is not None
    assert attempt.long.value / attempt.short.value == pytest.approx(LONG / SHORT, rel=0.2)


def test_a_processor_without_a_number_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    seen = observe_pmu()
    assert (seen.attempts, seen.architecture) == ((), "s390x")


def test_an_event_that_the_kernel_gave_up_is_no_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads as the end of a file, as /dev/null does."""
    monkeypatch.setattr(perf_event, "open_event", lambda *_: os.open("/dev/null", os.O_RDONLY))
    seen = observe_pmu()
    assert {attempt.errno for attempt in seen.attempts} == {errno.ENODATA}
    assert judge_pmu(seen).state is PmuState.UNKNOWN
