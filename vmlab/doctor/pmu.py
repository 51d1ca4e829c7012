# SPDX-License-Identifier: MIT
"""The host's performance counters, as input for advice: the PMU's presence, and the restrictions on perf.

That a guest's counters count is proved in the guest (`timing/source.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vmlab.host.processor import read_words

PARANOID_ADVICE = "sudo sysctl kernel.perf_event_paranoid=1"
_CAP_SYS_ADMIN, _CAP_PERFMON = 21, 38
_HARDWARE = ("cpu", "arm", "apple_")
"""Prefixes of a processor's PMU among the kernel's event sources: `cpu` on x86, `cpu_core` on a hybrid processor,
`armv8_pmuv3_0`. The other sources count software events or have a special purpose (`msr`, `uprobe`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPmu:
    """The kernel's view of its performance counters."""

    event_sources: tuple[str, ...] = ()
    """Entries of /sys/bus/event_source/devices: the event sources that the kernel has drivers for."""
    paranoid: int | None = None
    """/proc/sys/kernel/perf_event_paranoid; None if it is missing."""
    has_sys_admin: bool = False
    has_perfmon: bool = False
    container: str = ""

    @property
    def is_absent(self) -> bool:
        """True if the host has no PMU to give to a guest."""
        return not any(name.startswith(_HARDWARE) for name in self.event_sources)

    @property
    def is_hybrid(self) -> bool:
        """True if performance and efficiency cores have separate PMUs."""
        return "cpu_core" in self.event_sources

    @property
    def is_bound_by_paranoid(self) -> bool:
        """True if perf_event_paranoid keeps this process from counting the kernel, or from counting at all."""
        if self.paranoid is None or self.has_sys_admin:
            return False
        return self.paranoid >= 3 or (self.paranoid == 2 and not self.has_perfmon)

    @property
    def seen(self) -> Mapping[str, str]:
        """All values that were read, for a bug report."""
        return {
            "event_sources": " ".join(self.event_sources),
            "perf_event_paranoid": "absent" if self.paranoid is None else str(self.paranoid),
            "cap_sys_admin": str(self.has_sys_admin).lower(),
            "cap_perfmon": str(self.has_perfmon).lower(),
            "container": self.container,
        }


def read_host_pmu() -> HostPmu:
    """Read the host's PMU from /proc and /sys; starts no process."""
    status = read_words(Path("/proc/self/status"))
    fields = {key: value.strip() for key, _, value in (line.partition(":") for line in status.splitlines())}
    capabilities = int(fields.get("CapEff", "0"), 16)
    paranoid = read_words(Path("/proc/sys/kernel/perf_event_paranoid"))
    devices = Path("/sys/bus/event_source/devices")
    return HostPmu(
        event_sources=tuple(sorted(path.name for path in devices.iterdir())) if devices.is_dir() else (),
        paranoid=int(paranoid) if paranoid.lstrip("-").isdigit() else None,
        has_sys_admin=bool(capabilities >> _CAP_SYS_ADMIN & 1),
        has_perfmon=bool(capabilities >> _CAP_PERFMON & 1),
        container=_container(),
    )


def paranoid_forbids(level: int) -> str:
    """Return what a level of perf_event_paranoid forbids to a process without CAP_PERFMON.

    Up to 2 as in the kernel's Documentation/admin-guide/sysctl/kernel.rst. Levels 3 and 4 are from Debian, Ubuntu and
    Android (CONFIG_SECURITY_PERF_EVENTS_RESTRICT), and require CAP_SYS_ADMIN for any event; other kernels read 2.
    """
    if level >= 3:
        return "any counting on a Debian, Ubuntu or Android kernel, counting the kernel on any other"
    return {2: "counting the kernel", 1: "counting whole processors", 0: "raw tracepoints"}.get(level, "nothing")


def _container() -> str:
    if Path("/run/.containerenv").exists():
        return "podman"
    return "docker" if Path("/.dockerenv").exists() else ""
