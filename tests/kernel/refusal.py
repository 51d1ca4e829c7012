# SPDX-License-Identifier: MIT
"""Cause of a refused perf_event_open(2): the level, a distribution's patch, seccomp, no PMU, or no perf. Pure."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from enum import StrEnum

from vmlab.perf.access import Operation, PerfKernel, Privilege, expected_errno, name_of

_SECCOMP_FILTER = 2
"""`Seccomp:` of proc(5), /proc/PID/status: 0 none, 1 strict, 2 a filter."""


class Cause(StrEnum):
    """Cause of a refusal."""

    NOTHING = "nothing"
    LEVEL = "perf_event_paranoid"
    DISTRIBUTION = "the distribution's patch"
    SECCOMP = "seccomp"
    OTHER_USER = "another user's process"
    NO_PMU = "no PMU"
    NO_PERF = "no perf in the kernel"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The cause in one sentence, and advice."""

    cause: Cause
    sentence: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.sentence} ({self.hint})" if self.hint else self.sentence


def explain(
    number: int,
    operation: Operation,
    *,
    level: int | None,
    privilege: Privilege,
    kernel: PerfKernel,
    seccomp: int,
) -> Refusal:
    """Explain why `operation` failed with errno `number`.

    `level` is kernel.perf_event_paranoid, None when the file is missing; `seccomp` is the number after `Seccomp:` in
    /proc/self/status of the refused process. A refusal that the table predicts is explained by the level. Any other
    comes from the process's seccomp filter, if it has one. A filter may answer any errno, EPERM in container runtimes,
    and runs before the kernel's own checks.
    """
    if number == 0:
        return Refusal(cause=Cause.NOTHING, sentence=f"{operation.name} was let through")
    if level is None:
        return Refusal(
            cause=Cause.NO_PERF,
            sentence=f"the kernel has no perf: it has no perf_event_paranoid, and the call ends with {name_of(number)}",
            hint="it wants CONFIG_PERF_EVENTS=y",
        )
    if number == expected_errno(operation, level=level, privilege=privilege, kernel=kernel):
        return _foreseen(number, operation, level=level, privilege=privilege, kernel=kernel)
    if seccomp == _SECCOMP_FILTER:
        return Refusal(
            cause=Cause.SECCOMP,
            sentence=f"a seccomp filter answers perf_event_open() with {name_of(number)}: the process has `Seccomp: 2` "
            f"in its status, and perf_event_paranoid {level} is no reason for it",
            hint="allow perf_event_open in the container's seccomp profile",
        )
    return Refusal(
        cause=Cause.UNKNOWN,
        sentence=f"{operation.name} ended with {name_of(number)}, which perf_event_paranoid {level} does not explain",
        hint="look for a security module in /sys/kernel/security/lsm",
    )


def _foreseen(number: int, operation: Operation, *, level: int, privilege: Privilege, kernel: PerfKernel) -> Refusal:
    restriction = kernel.restriction
    name = name_of(number)
    if restriction is not None and level >= restriction.refuses_all_from and privilege is not Privilege.ROOT:
        most = restriction.refuses_all_from - 1
        return Refusal(
            cause=Cause.DISTRIBUTION,
            sentence=f"{restriction.distribution}'s kernels refuse all of perf from perf_event_paranoid "
            f"{restriction.refuses_all_from} on with {name}, unless one has {restriction.lifted_by}; it is {level}",
            hint=f"sudo sysctl kernel.perf_event_paranoid={most}, or run perf with sudo",
        )
    if number == errno.ENOENT:
        return Refusal(
            cause=Cause.NO_PMU,
            sentence=f"no PMU takes the event of {operation.name}: {name}",
            hint="use a software event: -e cpu-clock or -e task-clock",
        )
    if operation.name == "other-user":
        return Refusal(
            cause=Cause.OTHER_USER,
            sentence=f"the process is another user's: {name} at every level",
            hint="run perf with sudo or CAP_PERFMON",
        )
    assert operation.refused_from is not None
    most = operation.refused_from - 1
    return Refusal(
        cause=Cause.LEVEL,
        sentence=f"perf_event_paranoid is {level}, and {operation.name} is refused from {most + 1} on with {name}",
        hint=f"sudo sysctl kernel.perf_event_paranoid={most}, or run perf with sudo or CAP_PERFMON",
    )
