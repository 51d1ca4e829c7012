# SPDX-License-Identifier: MIT
"""`perf stat` output with and without a performance monitoring unit."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from vmlab.guest.guest import Guest
from vmlab.perf.access import PerfAccess, Privilege

from .finding import Note
from .perf_row import Rows
from .typed import by_user

# perf and tracing patch the running kernel's code.
pytestmark = pytest.mark.usefixtures("one_processor")

_EVENTS = ("cycles", "instructions")
_PMU = r"cpu|cpu_core|armv8_\w*"
"""Names of processor PMUs in sysfs: kernel/events/core.c, pmu_register()."""


def _counts(output: str) -> dict[str, str]:
    """Each event and its value in `perf stat`: a number, or text such as `<not supported>`."""
    found = re.findall(
        rf"^ +([\d,.]+|<[\w ]+>) +(?:msec +)?(?:\w+/)?({'|'.join(_EVENTS)}|task-clock)\b", output, re.MULTILINE
    )
    return {event: count for count, event in found}


def test_perf_stat_says_not_supported_where_no_pmu_counts(
    shared_guest: Guest, perf_access: Callable[..., PerfAccess], rows: Rows, finding: Note
) -> None:
    perf_access(level=1)
    devices = by_user(shared_guest, "ls /sys/bus/event_source/devices")
    has_pmu = any(re.fullmatch(_PMU, name) for name in devices.output.split())
    plain = by_user(shared_guest, "perf stat true")
    finding("perf.stat", **plain.shown, has_pmu=has_pmu)
    said = by_user(shared_guest, f"perf stat -e {','.join(_EVENTS)},task-clock true")
    counts = _counts(said.output)
    key = "perf.pmu" if has_pmu else "perf.no-pmu"
    finding(key, **said.shown, has_pmu=has_pmu, devices=" ".join(devices.output.split()), **counts)
    assert counts.keys() == {*_EVENTS, "task-clock"}, said.output
    is_counted = {event: not count.startswith("<") for event, count in counts.items()}
    # The clocks are the kernel's and always available. QEMU's emulated PMU counts instructions only under -icount.
    assert is_counted == {
        "cycles": has_pmu,
        "instructions": rows.ask(Privilege.ROOT).has_pmu,
        "task-clock": True,
    }, said.output
    assert {count for event, count in counts.items() if not is_counted[event]} <= {"<not supported>"}
    # Without -e perf also requests cycles, and reports missing events with the same text.
    assert ("<not supported>" in plain.output) is not all(is_counted.values()), plain.output
