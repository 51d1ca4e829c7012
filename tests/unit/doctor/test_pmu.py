# SPDX-License-Identifier: MIT
"""A PMU is a source of figures only when it counts, all of it, all of the time; each other case says its cause."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import Any

import pytest

from vmlab.doctor.perf_event import LONG, SHORT, Attempt, Count, Event, PmuObservations, errno_name
from vmlab.doctor.pmu import HostPmu, PmuState, is_bound_by_paranoid, judge_pmu, paranoid_forbids

_PER_ROUND = 50


def _count(value: int, *, running: float = 1.0) -> Count:
    return Count(value=value, enabled_ns=1_000_000, running_ns=int(1_000_000 * running))


def counting(event: Event, *, is_kernel: bool) -> Attempt:
    return Attempt(event=event, is_kernel=is_kernel, short=_count(SHORT * _PER_ROUND), long=_count(LONG * _PER_ROUND))


def observations(code: int = 0, **others: Any) -> PmuObservations:
    """A host where everything counts, or where each event is refused with one errno."""
    attempts = tuple(
        Attempt(event=event, is_kernel=is_kernel, errno=code) if code else counting(event, is_kernel=is_kernel)
        for event in Event
        for is_kernel in (False, True)
    )
    return PmuObservations(**{"attempts": attempts, "paranoid": 1, "devices": ("cpu", "software"), **others})


def _judge(*odd: Attempt, **others: Any) -> HostPmu:
    """The verdict on a host where everything counts but what is given."""
    seen = observations(**others)
    kept = tuple(
        next((one for one in odd if (one.event, one.is_kernel) == (item.event, item.is_kernel)), item)
        for item in seen.attempts
    )
    return judge_pmu(replace(seen, attempts=kept))


def _program(**others: Any) -> Attempt:
    return Attempt(event=Event.INSTRUCTIONS, is_kernel=False, **others)


def _kernel(**others: Any) -> Attempt:
    return Attempt(event=Event.INSTRUCTIONS, is_kernel=True, **others)


def test_a_pmu_that_counts_all_is_good() -> None:
    pmu = _judge()
    assert pmu.state is PmuState.COUNTS
    assert pmu.finding == "instructions are counted, of user space and of the kernel, and cycles"
    assert pmu.advice == ""


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.ENXIO])
def test_an_event_that_no_driver_takes_means_no_pmu(code: int) -> None:
    pmu = judge_pmu(observations(code, devices=("software", "tracepoint")))
    assert pmu.state is PmuState.ABSENT
    assert pmu.is_absent
    assert pmu.finding.startswith(f"perf_event_open(instructions:u) says {errno_name(code)}: ")
    assert pmu.finding.endswith("its event sources: software, tracepoint")


def test_a_kernel_without_perf_has_no_pmu() -> None:
    pmu = judge_pmu(observations(errno.ENOSYS, paranoid=None))
    assert pmu.state is PmuState.ABSENT
    assert "built without CONFIG_PERF_EVENTS" in pmu.finding


def test_a_call_that_a_filter_hides_is_forbidden_and_not_absent() -> None:
    pmu = judge_pmu(observations(errno.ENOSYS, seccomp=2, container="podman"))
    assert pmu.state is PmuState.FORBIDDEN
    assert pmu.finding.endswith("a seccomp filter hides the call, in a container of podman")
    assert "--cap-add PERFMON" in pmu.advice


@pytest.mark.parametrize("level", [3, 4])
def test_a_refusal_by_paranoid_names_the_level_and_the_way_out(level: int) -> None:
    pmu = judge_pmu(observations(errno.EACCES, paranoid=level))
    assert pmu.state is PmuState.FORBIDDEN
    assert f"kernel.perf_event_paranoid is {level}, which forbids any counting" in pmu.finding
    assert pmu.advice == "sudo sysctl kernel.perf_event_paranoid=1"


def test_debians_level_asks_for_more_than_cap_perfmon() -> None:
    assert "perf_event_paranoid is 3" in judge_pmu(observations(errno.EACCES, paranoid=3, has_perfmon=True)).finding


def test_a_refusal_by_seccomp_is_not_blamed_on_paranoid() -> None:
    pmu = judge_pmu(observations(errno.EPERM, seccomp=2, container="docker"))
    assert pmu.state is PmuState.FORBIDDEN
    assert pmu.finding == (
        "perf_event_open(instructions:u) says EPERM:"
        " a seccomp filter is on this process (Seccomp: 2 in /proc/self/status), in a container of docker"
    )
    assert "seccomp=unconfined" in pmu.advice


@pytest.mark.parametrize("code", [errno.EPERM, errno.EACCES])
def test_a_refusal_that_neither_explains_is_a_security_modules(code: int) -> None:
    pmu = judge_pmu(observations(code, has_sys_admin=True, paranoid=4))
    assert pmu.state is PmuState.FORBIDDEN
    assert "neither perf_event_paranoid (4) nor seccomp (0) explains it: a security module or lockdown" in pmu.finding
    assert pmu.advice.startswith("sudo dmesg")


def test_another_errno_is_told_as_it_is_and_explained_by_nothing() -> None:
    pmu = judge_pmu(observations(errno.EINVAL))
    assert (pmu.state, pmu.finding) == (PmuState.UNKNOWN, "perf_event_open(instructions:u) says EINVAL")


def test_a_processor_that_vmlab_knows_no_call_for_is_unknown() -> None:
    pmu = judge_pmu(PmuObservations(architecture="s390x"))
    assert pmu.state is PmuState.UNKNOWN
    assert pmu.finding == "vmlab does not know how to call perf_event_open on s390x"


def test_a_pmu_that_counts_nothing_is_no_source() -> None:
    pmu = _judge(_program(short=_count(0), long=_count(0)))
    assert pmu.state is PmuState.BROKEN
    assert pmu.finding == f"instructions:u can be opened and stays at 0 over {LONG} rounds of work"


def test_a_count_that_does_not_follow_the_work_is_no_source() -> None:
    pmu = _judge(_program(short=_count(7_000), long=_count(7_001)))
    assert pmu.state is PmuState.BROKEN
    assert "does not follow the work: 7000 for 20000 rounds, 7001 for 80000" in pmu.finding


def test_an_event_that_had_the_hardware_for_a_part_is_multiplexed() -> None:
    pmu = _judge(_program(short=_count(1_000_000), long=_count(2_500_000, running=0.6)))
    assert pmu.state is PmuState.SHARED
    assert pmu.finding.startswith("instructions:u had a counter for 0.6 of 1.0 ms")
    assert "nmi_watchdog=0" in pmu.advice


def test_an_event_that_never_got_a_counter_is_multiplexed_and_not_silent() -> None:
    pmu = _judge(_program(short=_count(0, running=0), long=_count(0, running=0)))
    assert pmu.state is PmuState.SHARED


@pytest.mark.parametrize(
    ("kernel", "fact"),
    [
        (_kernel(short=_count(0), long=_count(0)), "instructions:k can be opened and stays at 0"),
        (_kernel(errno=errno.EACCES), "kernel.perf_event_paranoid is 2, which forbids counting the kernel"),
        (_kernel(errno=errno.EOPNOTSUPP), "perf_event_open(instructions:k) says EOPNOTSUPP"),
    ],
)
def test_a_pmu_that_sees_user_space_alone_is_told_from_one_that_counts(kernel: Attempt, fact: str) -> None:
    pmu = _judge(kernel, paranoid=2)
    assert pmu.state is PmuState.USER_ONLY
    assert pmu.finding.startswith("instructions of user space are counted, and ")
    assert fact in pmu.finding


def test_a_kernel_count_that_is_multiplexed_is_multiplexed() -> None:
    assert _judge(_kernel(short=_count(9), long=_count(36, running=0.5))).state is PmuState.SHARED


def test_cycles_without_instructions_are_told_as_that() -> None:
    """As QEMU's arm64 PMU is without -icount."""
    pmu = _judge(_program(errno=errno.ENOENT), _kernel(errno=errno.ENOENT))
    assert pmu.state is PmuState.CYCLES_ONLY
    assert pmu.finding.startswith("cycles are counted, and perf_event_open(instructions:u) says ENOENT")


def test_instructions_without_cycles_still_count() -> None:
    pmu = _judge(Attempt(event=Event.CYCLES, is_kernel=False, errno=errno.ENOENT))
    assert pmu.state is PmuState.COUNTS
    assert "cycles not: perf_event_open(cycles:u) says ENOENT" in pmu.finding


def test_what_was_seen_is_kept_for_a_bug_report() -> None:
    seen = _judge(_kernel(errno=errno.EACCES), paranoid=2, seccomp=2, container="docker").seen
    assert seen["instructions:k"] == "EACCES"
    assert seen["instructions:u"].startswith("20000: 1000000, running 1000000 of 1000000 ns; 80000: 4000000,")
    assert (seen["perf_event_paranoid"], seen["seccomp"], seen["container"]) == ("2", "2", "docker")
    assert seen["event_sources"] == "cpu software"


@pytest.mark.parametrize(
    ("level", "forbidden"),
    [(-1, "nothing"), (0, "raw tracepoints"), (1, "counting whole processors"), (2, "counting the kernel")],
)
def test_each_level_of_the_kernels_own_forbids_what_it_documents(level: int, forbidden: str) -> None:
    assert paranoid_forbids(level) == forbidden


@pytest.mark.parametrize(
    ("paranoid", "perfmon", "sys_admin", "is_bound"),
    [
        (None, False, False, False),
        (1, False, False, False),
        (2, False, False, True),
        (2, True, False, False),
        (3, True, False, True),
        (4, True, True, False),
    ],
)
def test_who_is_bound_by_paranoid(paranoid: int | None, perfmon: bool, sys_admin: bool, is_bound: bool) -> None:
    seen = PmuObservations(paranoid=paranoid, has_perfmon=perfmon, has_sys_admin=sys_admin)
    assert is_bound_by_paranoid(seen) is is_bound
