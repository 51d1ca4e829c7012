# SPDX-License-Identifier: MIT
"""Asks the kernel for hardware counters by perf_event_open(2), and lets them count this process at work.

libc has no wrapper for the call, and the `perf` program need not be there.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmlab.host.processor import read_words
from vmlab.system.process import run

SYSCALL_NUMBERS = {"x86_64": 298, "aarch64": 241, "riscv64": 241}
"""perf_event_open in arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h."""
# struct perf_event_attr as far as its first version goes (PERF_ATTR_SIZE_VER0), which every kernel takes.
_ATTRIBUTE = struct.Struct("=IIQQQQQIIQ")
_COUNTER = struct.Struct("=QQQ")
_TYPE_HARDWARE = 0
_READ_FORMAT = 1 | 2
"""Time enabled and time running beside the value (PERF_FORMAT_TOTAL_TIME_*)."""
_EXCLUDE_USER, _EXCLUDE_KERNEL, _EXCLUDE_HV, _EXCLUDE_GUEST = 1 << 4, 1 << 5, 1 << 6, 1 << 20
"""Bits of perf_event_attr's flags. Without exclude_guest an event cannot be had while a guest owns the counters."""
_CLOSE_ON_EXEC = 8
_CAP_SYS_ADMIN, _CAP_PERFMON = 21, 38

SHORT, LONG = 20_000, 80_000
"""Rounds of the work that is counted, 1 : 4; the longer takes some milliseconds."""


class Event(StrEnum):
    """A hardware event that every processor counts; perf's own names."""

    INSTRUCTIONS = "instructions"
    CYCLES = "cycles"


_CONFIG = {Event.CYCLES: 0, Event.INSTRUCTIONS: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a counter gained over one stretch of work. Running below enabled: it had the hardware for a part only."""

    value: int
    enabled_ns: int
    running_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One event that was asked for: refused with an errno, or counted over a short and a long stretch of work."""

    event: Event
    is_kernel: bool
    """Whether the kernel's part alone was asked for; else the program's own."""
    errno: int = 0
    short: Count | None = None
    long: Count | None = None

    @property
    def name(self) -> str:
        """As perf writes it."""
        return f"{self.event}:{'k' if self.is_kernel else 'u'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PmuObservations:
    """Everything that a verdict on the host's PMU is made of, as it was seen."""

    attempts: tuple[Attempt, ...] = ()
    """Empty where vmlab does not know the call's number."""
    architecture: str = "x86_64"
    paranoid: int | None = None
    """/proc/sys/kernel/perf_event_paranoid; None when it is not there."""
    seccomp: int = 0
    """Of /proc/self/status: 0 none, 1 strict, 2 a filter."""
    is_deadly: bool = False
    """Whether the filter ends a process for asking; then nothing was attempted."""
    has_sys_admin: bool = False
    has_perfmon: bool = False
    container: str = ""
    devices: tuple[str, ...] = ()
    """/sys/bus/event_source/devices: what the kernel has drivers for."""

    def attempt(self, event: Event, *, is_kernel: bool) -> Attempt | None:
        return next((item for item in self.attempts if item.event is event and item.is_kernel is is_kernel), None)


def observe_pmu() -> PmuObservations:
    """Try this host's counters on this process. Takes some 50 ms; changes nothing; never raises for a refusal."""
    architecture = platform.machine()
    number = SYSCALL_NUMBERS.get(architecture)
    status = _status_fields(read_words(Path("/proc/self/status")))
    seccomp = int(status.get("Seccomp", "0"))
    is_deadly = number is not None and seccomp == 2 and _is_deadly(number)
    attempts = [
        _attempt(number, event, is_kernel=is_kernel)
        for event in Event
        for is_kernel in (False, True)
        if number is not None and not is_deadly
    ]
    capabilities = int(status.get("CapEff", "0"), 16)
    paranoid = read_words(Path("/proc/sys/kernel/perf_event_paranoid"))
    devices = Path("/sys/bus/event_source/devices")
    return PmuObservations(
        attempts=tuple(attempts),
        architecture=architecture,
        paranoid=int(paranoid) if paranoid.lstrip("-").isdigit() else None,
        seccomp=seccomp,
        is_deadly=is_deadly,
        has_sys_admin=bool(capabilities >> _CAP_SYS_ADMIN & 1),
        has_perfmon=bool(capabilities >> _CAP_PERFMON & 1),
        container=_container(),
        devices=tuple(sorted(path.name for path in devices.iterdir())) if devices.is_dir() else (),
    )


def _is_deadly(number: int) -> bool:
    """Whether a seccomp filter, such as systemd's SystemCallFilter, ends whoever makes the call: a child finds out."""
    call = f"import ctypes; ctypes.CDLL(None).syscall({number}, 0, 0, 0, 0, 0)"
    return run([sys.executable, "-c", call], timeout_s=30).status in (-signal.SIGSYS, 128 + signal.SIGSYS)


def _attempt(number: int, event: Event, *, is_kernel: bool) -> Attempt:
    excluded = _EXCLUDE_USER if is_kernel else _EXCLUDE_KERNEL
    try:
        descriptor = open_event(number, _TYPE_HARDWARE, _CONFIG[event], excluded | _EXCLUDE_HV | _EXCLUDE_GUEST)
    except OSError as error:
        return Attempt(event=event, is_kernel=is_kernel, errno=error.errno or errno.EIO)
    work = _work_in_kernel if is_kernel else _work_in_program
    try:
        short, long = (count_work(descriptor, work, rounds) for rounds in (SHORT, LONG))
    except OSError as error:
        return Attempt(event=event, is_kernel=is_kernel, errno=error.errno or errno.EIO)
    finally:
        os.close(descriptor)
    return Attempt(event=event, is_kernel=is_kernel, short=short, long=long)


def open_event(number: int, kind: int, config: int, flags: int) -> int:
    """A descriptor of an event that counts the calling thread at once; `OSError` when the kernel refuses."""
    attribute = _ATTRIBUTE.pack(kind, _ATTRIBUTE.size, config, 0, 0, _READ_FORMAT, flags, 0, 0, 0)
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    this_thread, any_processor, no_group = ctypes.c_int(0), ctypes.c_int(-1), ctypes.c_int(-1)
    descriptor = call(
        ctypes.c_long(number),
        ctypes.create_string_buffer(attribute, len(attribute)),
        this_thread,
        any_processor,
        no_group,
        ctypes.c_ulong(_CLOSE_ON_EXEC),
    )
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(descriptor)


def count_work(descriptor: int, work: Callable[[int], None], rounds: int) -> Count:
    """What an event that counts already gains while some rounds of work are done."""
    before = _read(descriptor)
    work(rounds)
    after = _read(descriptor)
    value, enabled_ns, running_ns = (late - early for early, late in zip(before, after, strict=True))
    return Count(value=value, enabled_ns=enabled_ns, running_ns=running_ns)


def _read(descriptor: int) -> tuple[int, ...]:
    words = os.read(descriptor, _COUNTER.size)
    if len(words) < _COUNTER.size:
        # An event that the kernel gave up reads as the end of a file.
        raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
    return _COUNTER.unpack(words)


def errno_name(code: int) -> str:
    """The kernel's name of an errno; Python's for 95 is glibc's other one, ENOTSUP."""
    return "EOPNOTSUPP" if code == errno.EOPNOTSUPP else errno.errorcode.get(code, str(code))


def _work_in_program(rounds: int) -> None:
    for _ in range(rounds):
        pass


def _work_in_kernel(rounds: int) -> None:
    # getppid is a call that no C library answers by itself.
    for _ in range(rounds // 10):
        os.getppid()


def _status_fields(status: str) -> dict[str, str]:
    return {key: value.strip() for key, _, value in (line.partition(":") for line in status.splitlines())}


def _container() -> str:
    if Path("/run/.containerenv").exists():
        return "podman"
    return "docker" if Path("/.dockerenv").exists() else ""
