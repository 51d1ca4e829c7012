# SPDX-License-Identifier: MIT
"""The cause of a refused perf operation."""

from __future__ import annotations

import errno

import pytest
from kernel.refusal import Cause, Refusal, explain

from unit.perf.test_access import DEBIAN, UPSTREAM, operation
from vmlab.perf.access import PerfKernel, Privilege


def _why(
    number: int,
    name: str,
    *,
    level: int | None,
    kernel: PerfKernel = DEBIAN,
    privilege: Privilege = Privilege.NONE,
    seccomp: int = 0,
) -> Refusal:
    return explain(number, operation(name), level=level, privilege=privilege, kernel=kernel, seccomp=seccomp)


@pytest.mark.parametrize(
    ("number", "name", "level", "cause", "hint"),
    [
        (0, "own-user", 2, Cause.NOTHING, ""),
        (errno.EACCES, "kernel", 2, Cause.LEVEL, "perf_event_paranoid=1"),
        (errno.EACCES, "system-wide", 1, Cause.LEVEL, "perf_event_paranoid=0"),
        (errno.EPERM, "tracepoint-raw", 0, Cause.LEVEL, "perf_event_paranoid=-1"),
        (errno.EACCES, "own-user", 3, Cause.DISTRIBUTION, "perf_event_paranoid=2"),
        (errno.EACCES, "other-user", 0, Cause.OTHER_USER, "sudo"),
        (errno.ENOENT, "hardware", 2, Cause.NO_PMU, "-e cpu-clock"),
        (errno.ENOSYS, "own-user", None, Cause.NO_PERF, "CONFIG_PERF_EVENTS=y"),
    ],
)
def test_a_refusal_has_a_cause_and_a_way_out(
    number: int, name: str, level: int | None, cause: Cause, hint: str
) -> None:
    refusal = _why(number, name, level=level)
    assert (refusal.cause, hint in refusal.hint) == (cause, True), refusal


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.EACCES])
def test_a_filter_is_blamed_for_what_the_level_does_not_explain(number: int) -> None:
    refusal = _why(number, "own-user", level=2, seccomp=2)
    assert refusal.cause is Cause.SECCOMP
    assert "`Seccomp: 2`" in str(refusal)


def test_a_filter_is_not_blamed_for_what_the_level_refuses() -> None:
    assert _why(errno.EACCES, "kernel", level=2, seccomp=2).cause is Cause.LEVEL


def test_without_a_filter_it_is_said_that_nothing_explains_it() -> None:
    refusal = _why(errno.EPERM, "own-user", level=2, kernel=UPSTREAM)
    assert (refusal.cause, "EPERM" in refusal.sentence) == (Cause.UNKNOWN, True)


def test_debians_refusal_names_the_capability_that_lifts_it() -> None:
    refusal = _why(errno.EACCES, "own-user", level=3, privilege=Privilege.PERFMON)
    assert (refusal.cause, "CAP_SYS_ADMIN" in refusal.sentence) == (Cause.DISTRIBUTION, True)
