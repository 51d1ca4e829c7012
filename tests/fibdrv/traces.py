# SPDX-License-Identifier: MIT
"""Everything fibdrv leaves in a guest: lines in the kernel log, its node, its number."""

from __future__ import annotations

import re

from vmlab.guest.guest import Guest

from .probe import DEVICE

UNLOADED = "fibdrv: unloaded"
LOADED = re.compile(rf"fibdrv: {DEVICE} is (\d+):0, F\(0\) to F\(10000000\), in decimal")
CYCLES_S = 1800.0
"""Time limit in seconds for 200 load and unload cycles, each one or two seconds under TCG."""

_STAMP = re.compile(r"^\[ *\d+\.\d+\] ")
# The kernel logs each once per boot, for the first out-of-tree module.
_TAINT_NOTICES = ("loading out-of-tree module taints kernel", "module verification failed: ")
_OTHERS = re.compile(r"^(?:systemd|audit|clocksource: |hrtimer: |sched: |random: |perf: )")
"""Lines that others may log at any time: systemd, and the kernel on slow clocks and processors."""

# Tests built into the shell where possible: each new process takes some 20 ms under TCG.
_PLACES = {
    "module": "grep -q '^fibdrv ' /proc/modules",
    "number": "grep -q ' fibonacci$' /proc/devices",
    "parameters": "test -e /sys/module/fibdrv",
    "class": "test -e /sys/class/fibdrv",
    "device": "test -e /sys/devices/virtual/fibdrv",
    "node": f"test -e {DEVICE}",
}


def left_behind(guest: Guest) -> set[str]:
    """The subset of fibdrv's traces found in a guest: all while it is loaded, none otherwise."""
    looks = [f"{look} && echo {name}" for name, look in _PLACES.items()]
    return set(guest.succeed("; ".join([*looks, "true"])).splitlines())


EVERYTHING = set(_PLACES)


def dmesg_of(guest: Guest, command: str, *, timeout_s: float | None = None) -> list[str]:
    """Log lines that root's `dmesg` shows after a command run by root, from a mark set before it."""
    mark = "vmlab: from here on"
    script = f"echo {mark} > /dev/kmsg; {command}; status=$?; dmesg; exit $status"
    output = guest.as_root(script, timeout_s=timeout_s)
    lines = [_STAMP.sub("", line) for line in output.splitlines()]
    last_mark = len(lines) - 1 - lines[::-1].index(mark)
    return without_notices(lines[last_mark + 1 :])


def without_notices(lines: list[str]) -> list[str]:
    """Log lines without the notices about a first out-of-tree module and lines unrelated to modules."""
    return [line for line in lines if not any(notice in line for notice in _TAINT_NOTICES) and not _OTHERS.match(line)]
