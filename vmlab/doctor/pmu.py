# SPDX-License-Identifier: MIT
"""The host's performance counters: whether this process may use them, whether they count, and if not, why."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from vmlab.doctor.perf_event import LONG, SHORT, Attempt, Count, Event, PmuObservations, errno_name, observe_pmu

_NO_PMU = (errno.ENOENT, errno.EOPNOTSUPP, errno.ENODEV, errno.ENXIO)
"""perf_event_open(2): no driver takes the event, or the hardware has not got it."""

PARANOID_ADVICE = "sudo sysctl kernel.perf_event_paranoid=1"
_CONTAINER_ADVICE = "start the container with --cap-add PERFMON, or with --security-opt seccomp=unconfined"
_SHARE_ADVICE = "sudo sysctl kernel.nmi_watchdog=0, and end whatever else counts"
_LSM_ADVICE = "sudo dmesg | grep -iE 'lockdown|avc|apparmor'"


class PmuState(StrEnum):
    """What the host's PMU is good for. Only the first is a source of figures."""

    COUNTS = "counts"
    USER_ONLY = "counts user space only"
    CYCLES_ONLY = "counts cycles only"
    SHARED = "multiplexed"
    """Events share the hardware: a count is of a part of the time, and perf would have to guess the rest."""
    BROKEN = "there, and counts nothing"
    ABSENT = "absent"
    FORBIDDEN = "forbidden"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPmu:
    """The verdict on the host's PMU, and the fact behind it."""

    state: PmuState
    finding: str
    advice: str = ""
    """What to type to be allowed; empty where that is not what is missing."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """Each thing that was looked at, for a bug report."""

    @property
    def is_absent(self) -> bool:
        """Whether there is surely nothing that a guest could be given."""
        return self.state is PmuState.ABSENT


def host_pmu() -> HostPmu:
    """Try the host's PMU on this process; some 50 ms, no privileges needed, nothing changed."""
    return judge_pmu(observe_pmu())


def judge_pmu(seen: PmuObservations) -> HostPmu:
    """The verdict that observations lead to. Pure.

    Instructions in user space come first, since without those there is nothing to compare; then the kernel's, where
    a module's work is; then cycles.
    """
    if seen.is_deadly:
        finding = f"a seccomp filter ends whoever calls perf_event_open (SIGSYS){_inside(seen)}"
        return HostPmu(state=PmuState.FORBIDDEN, finding=finding, advice=_CONTAINER_ADVICE, seen=_record(seen))
    program = seen.attempt(Event.INSTRUCTIONS, is_kernel=False)
    kernel = seen.attempt(Event.INSTRUCTIONS, is_kernel=True)
    cycles = seen.attempt(Event.CYCLES, is_kernel=False)
    if program is None or kernel is None or cycles is None:
        finding = f"vmlab does not know how to call perf_event_open on {seen.architecture}"
        return HostPmu(state=PmuState.UNKNOWN, finding=finding, seen=_record(seen))
    state, finding, advice = _fault(program, seen)
    if state is PmuState.ABSENT and _fault(cycles, seen)[0] is PmuState.COUNTS:
        state, finding = PmuState.CYCLES_ONLY, f"cycles are counted, and {finding}"
    elif state is PmuState.COUNTS:
        state, finding, advice = _fault(kernel, seen)
        if state in (PmuState.FORBIDDEN, PmuState.BROKEN, PmuState.ABSENT):
            state, finding = PmuState.USER_ONLY, f"instructions of user space are counted, and {finding}"
        elif state is PmuState.COUNTS:
            finding = _counting_told(cycles, seen)
    return HostPmu(state=state, finding=finding, advice=advice, seen=_record(seen))


def paranoid_forbids(level: int) -> str:
    """What a perf_event_paranoid forbids to a process without CAP_PERFMON.

    Up to 2 as in the kernel's Documentation/admin-guide/sysctl/kernel.rst. 3 and 4 are Debian's, Ubuntu's and
    Android's (CONFIG_SECURITY_PERF_EVENTS_RESTRICT), who ask CAP_SYS_ADMIN for any event; other kernels read 2.
    """
    if level >= 3:
        return "any counting, where the kernel is Debian's, Ubuntu's or Android's; elsewhere counting the kernel"
    return {2: "counting the kernel", 1: "counting whole processors", 0: "raw tracepoints"}.get(level, "nothing")


def is_bound_by_paranoid(seen: PmuObservations) -> bool:
    """Whether perf_event_paranoid keeps this process from counting the kernel, or from counting at all."""
    if seen.paranoid is None or seen.has_sys_admin:
        return False
    return seen.paranoid >= 3 or (seen.paranoid == 2 and not seen.has_perfmon)


def _fault(attempt: Attempt, seen: PmuObservations) -> tuple[PmuState, str, str]:
    """What is wrong with one event, as state, finding and advice; `COUNTS` when nothing is."""
    short, long = attempt.short, attempt.long
    if attempt.errno or short is None or long is None:
        return _refusal(attempt, seen)
    for count in (short, long):
        if count.running_ns < count.enabled_ns:
            return (
                PmuState.SHARED,
                _share_told(attempt, count),
                _SHARE_ADVICE,
            )
    if long.value <= 0:
        finding = f"{attempt.name} can be opened and stays at 0 over {LONG} rounds of work"
        return PmuState.BROKEN, finding, ""
    # Twice, where the work is four times as long: room for whatever interrupts and starting up add to the short one.
    if long.value < 2 * short.value:
        finding = f"{attempt.name} does not follow the work: {short.value} for {SHORT} rounds, {long.value} for {LONG}"
        return PmuState.BROKEN, finding, ""
    return PmuState.COUNTS, "", ""


def _share_told(attempt: Attempt, count: Count) -> str:
    part = f"{count.running_ns / 1e6:.1f} of {count.enabled_ns / 1e6:.1f} ms"
    return f"{attempt.name} had a counter for {part}: other events, or another kind of core, have the rest"


def _refusal(attempt: Attempt, seen: PmuObservations) -> tuple[PmuState, str, str]:
    code = attempt.errno
    said = f"perf_event_open({attempt.name}) says {errno_name(code)}"
    inside = _inside(seen)
    if code in _NO_PMU:
        drivers = ", ".join(seen.devices) or "none"
        return PmuState.ABSENT, f"{said}: the kernel has no PMU that counts them; its event sources: {drivers}", ""
    if code == errno.ENOSYS:
        why = (
            "a seccomp filter hides the call" if seen.seccomp == 2 else "the kernel is built without CONFIG_PERF_EVENTS"
        )
        state = PmuState.FORBIDDEN if seen.seccomp == 2 else PmuState.ABSENT
        return state, f"{said}: {why}{inside}", _CONTAINER_ADVICE if seen.seccomp == 2 else ""
    if code == errno.EACCES and is_bound_by_paranoid(seen):
        forbids = paranoid_forbids(seen.paranoid or 0)
        finding = f"{said}: kernel.perf_event_paranoid is {seen.paranoid}, which forbids {forbids}"
        return PmuState.FORBIDDEN, finding, PARANOID_ADVICE
    if code in (errno.EPERM, errno.EACCES) and seen.seccomp == 2:
        finding = f"{said}: a seccomp filter is on this process (Seccomp: 2 in /proc/self/status){inside}"
        return PmuState.FORBIDDEN, finding, _CONTAINER_ADVICE
    if code in (errno.EPERM, errno.EACCES):
        finding = (
            f"{said}, and neither perf_event_paranoid ({seen.paranoid}) nor seccomp ({seen.seccomp}) explains it:"
            f" a security module or lockdown{inside}"
        )
        return PmuState.FORBIDDEN, finding, _LSM_ADVICE
    return PmuState.UNKNOWN, said, ""


def _inside(seen: PmuObservations) -> str:
    return f", in a container of {seen.container}" if seen.container else ""


def _counting_told(cycles: Attempt, seen: PmuObservations) -> str:
    state, why, _ = _fault(cycles, seen)
    also = "and cycles" if state is PmuState.COUNTS else f"cycles not: {why}"
    return f"instructions are counted, of user space and of the kernel, {also}"


def _record(seen: PmuObservations) -> dict[str, str]:
    return {
        **{attempt.name: _attempt_told(attempt) for attempt in seen.attempts},
        "perf_event_paranoid": "absent" if seen.paranoid is None else str(seen.paranoid),
        "seccomp": f"{seen.seccomp}, deadly" if seen.is_deadly else str(seen.seccomp),
        "cap_sys_admin": str(seen.has_sys_admin).lower(),
        "cap_perfmon": str(seen.has_perfmon).lower(),
        "container": seen.container,
        "event_sources": " ".join(seen.devices),
    }


def _attempt_told(attempt: Attempt) -> str:
    if attempt.errno or attempt.short is None or attempt.long is None:
        return errno_name(attempt.errno)
    return "; ".join(
        f"{rounds}: {count.value}, running {count.running_ns} of {count.enabled_ns} ns"
        for rounds, count in ((SHORT, attempt.short), (LONG, attempt.long))
    )
