# SPDX-License-Identifier: MIT
"""A trap at a breakpoint that the code does not have is told apart from a real one."""

from __future__ import annotations

import pytest

from vmlab.klog.emulator_fault import spurious_breakpoint

_OOPS = """\
Oops: int3: 0000 [#1] SMP NOPTI
CPU: 0 UID: 0 PID: 12 Comm: perf Tainted: G           OE       7.3.4+deb13-cloud-amd64 #1
RIP: 0010:__schedule+0x1be/0x1600
Code: 48 89 c7 e8 0f 44 <1f> 44 00 00 48 8b
RSP: 0018:ffffb0c5c0013de8 EFLAGS: 00000046
"""
_HANG = """\
NMI backtrace for cpu 0
CPU: 0 PID: 431 Comm: perf_open Tainted: G           OE      6.1.0-56-cloud-amd64 #1
RIP: 0010:asm_exc_int3+0x12/0x40
Code: 0f 1f 00 fc e8 <d3> 05 00 00 48 89
Call Trace:
 <TASK>
 asm_exc_int3+0x39/0x40
RIP: 0010:__schedule+0x1be/0x9d0
Code: 00 48 89 c7 66 0f <1f> 44 00 00 41 8b
RSP: 0018:ffffa4b3c0407cf8 EFLAGS: 00000002
 schedule+0x5d/0xe0
"""


def test_an_oops_over_a_breakpoint_that_is_gone_is_the_emulators() -> None:
    assert spurious_breakpoint(_OOPS.splitlines()) == "__schedule+0x1be: 44 1f 44 00 00"


def test_a_processor_that_traps_without_end_is_the_emulators() -> None:
    assert spurious_breakpoint(_HANG.splitlines()) == "__schedule+0x1be: 0f 1f 44 00 00"


@pytest.mark.parametrize(
    "code",
    ["48 89 c7 cc <0f> 1f 44 00", "48 89 c7 0f <cc> 1f 44 00", "<0f> 1f 44 00", "Bad RIP value.", ""],
    ids=["behind it", "set back to it", "unknown before", "unreadable", "empty"],
)
def test_a_trap_whose_breakpoint_is_there_or_unknown_is_the_modules(code: str) -> None:
    text = _OOPS.replace("48 89 c7 e8 0f 44 <1f> 44 00 00 48 8b", code)

    assert spurious_breakpoint(text.splitlines()) == ""


def test_code_of_another_oops_is_no_breakpoint_trap() -> None:
    text = _OOPS.replace("Oops: int3: 0000 [#1]", "Oops: 0002 [#1]")

    assert spurious_breakpoint(text.splitlines()) == ""


def test_code_far_below_a_trap_is_not_its_own() -> None:
    lines = ["Oops: int3: 0000 [#1] SMP", *["noise"] * 60, *_OOPS.splitlines()[2:]]

    assert spurious_breakpoint(lines) == ""


def test_a_word_like_the_traps_in_a_drivers_line_is_nothing() -> None:
    lines = ["mydrv: print3+0x10/0x20 is fine", *_OOPS.splitlines()[2:]]

    assert spurious_breakpoint(lines) == ""
