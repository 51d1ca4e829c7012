# SPDX-License-Identifier: MIT
"""A real seccomp filter on perf_event_open, as containers and systemd have it: refused is told, and never deadly."""

from __future__ import annotations

import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from vmlab.doctor.perf_event import SYSCALL_NUMBERS
from vmlab.doctor.pmu import PmuState

_KILL_PROCESS, _ERRNO = 0x80000000, 0x00050000

# A filter of four instructions (linux/filter.h, seccomp(2)): load the call's number; if it is perf_event_open, act;
# else allow. The process then tells its verdict.
_PROGRAM = """
import ctypes, json, struct, sys
number, action = int(sys.argv[1]), int(sys.argv[2])
def op(code, jump_true, jump_false, value):
    return struct.pack("HBBI", code, jump_true, jump_false, value)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 1, number) + op(0x06, 0, 0, action) + op(0x06, 0, 0, 0x7FFF0000)
instructions = ctypes.create_string_buffer(code, len(code))
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(instructions)), 16)
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.addressof(filter), 0, 0):
    sys.exit(f"no filter: errno {ctypes.get_errno()}")
from vmlab.doctor.pmu import host_pmu
pmu = host_pmu()
print(json.dumps({"state": pmu.state, "finding": pmu.finding, "advice": pmu.advice, "seccomp": pmu.seen["seccomp"]}))
"""


def _filtered(action: int) -> dict[str, str]:
    number = SYSCALL_NUMBERS.get(platform.machine())
    if number is None:
        pytest.skip(f"vmlab knows no perf_event_open on {platform.machine()}")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(number), str(action)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.stderr.startswith("no filter:"):
        pytest.skip(f"this host lets no process filter its own calls: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("code", "fact"),
    [
        (errno.EPERM, "says EPERM: a seccomp filter is on this process (Seccomp: 2 in /proc/self/status)"),
        (errno.ENOSYS, "says ENOSYS: a seccomp filter hides the call"),
    ],
)
def test_a_filter_that_refuses_is_found_to_be_the_cause(code: int, fact: str) -> None:
    found = _filtered(_ERRNO | code)
    assert found["state"] == PmuState.FORBIDDEN
    assert fact in found["finding"]
    assert "--cap-add PERFMON" in found["advice"]


def test_a_filter_that_kills_is_told_by_a_process_that_lives() -> None:
    found = _filtered(_KILL_PROCESS)
    assert found["state"] == PmuState.FORBIDDEN
    assert found["finding"].startswith("a seccomp filter ends whoever calls perf_event_open (SIGSYS)")
    assert found["seccomp"] == "2, deadly"
