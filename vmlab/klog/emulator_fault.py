# SPDX-License-Identifier: MIT
"""A breakpoint trap where the kernel's code has no breakpoint: the emulator's fault, by the kernel's own report. Pure.

The kernel switches its code while it runs (static keys, tracepoints, ftrace): it writes an int3 over an instruction,
then the new instruction, and interrupts the other processors in between (arch/x86/kernel/alternative.c, text_poke_bp).
QEMU 7.2 with an emulated processor per thread may go on with its translation of the int3 when that is gone. The kernel
then has a trap that it knows nothing of: it dies of it ("Oops: int3"), or goes back to the instruction and traps
again, without end (kprobe_int3_handler() of older kernels). No processor does that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vmlab.errors import EmulatorFault

_INT3 = 0xCC
_IN_TRAP = re.compile(r"\b(?:asm_exc_int3|exc_int3|do_int3|xen_int3|kprobe_int3_handler|poke_int3_handler|int3)\+0x")
_DIED = re.compile(r"^(?:Oops: )?int3: [0-9a-f]{4} \[#\d+\]")
_RIP = re.compile(r"\s*RIP: [0-9a-f]{4}:(?P<place>[A-Za-z_][\w.]*\+0x[0-9a-f]+)")
_CODE = re.compile(r"\s*Code: (?P<before>(?:[0-9a-f]{2} )*)<(?P<here>[0-9a-f]{2})>(?P<after>(?: [0-9a-f]{2})*)")
_NEAR_LINES = 40
"""Lines from the trap's own frames to the place that trapped: 5.10 to 7.3 print it right after them."""


def spurious_breakpoint(lines: Sequence[str]) -> str:
    """`__schedule+0x1bd: 0f 1f 44 00 00`, the place that trapped and the code there; empty where no trap is reported,
    or its breakpoint is there, or the report does not show the code."""
    left = 0
    place = ""
    for line in lines:
        rip = _RIP.match(line)
        if _DIED.match(line) or _IN_TRAP.search(line):
            left, place = _NEAR_LINES, ""
        elif rip is not None and left:
            place = rip["place"]
        elif place and (code := _CODE.match(line)) is not None:
            told = _without_breakpoint(code)
            if told:
                return f"{place}: {told}"
            left, place = 0, ""
        left -= left > 0
    return ""


def emulator_fault(place: str, *, detail: str) -> EmulatorFault:
    """The error for such a trap at a place, `__schedule+0x1bd: 0f 1f 44 00 00`."""
    return EmulatorFault(
        f"the emulator ran a breakpoint that the kernel's code no longer has, at {place}",
        hint="see docs/trouble.md; a guest with one processor (--vmlab-cpus 1) has no such fault",
        detail=detail,
    )


def _without_breakpoint(code: re.Match[str]) -> str:
    """The bytes at a trap, from the one that was taken for a breakpoint; empty if it is one."""
    before = [int(byte, 16) for byte in code["before"].split()]
    here = int(code["here"], 16)
    # A trap leaves the processor behind its instruction, and the kernel may have set it back.
    if not before or _INT3 in (before[-1], here):
        return ""
    after = code["after"].split()[:3]
    return " ".join([f"{before[-1]:02x}", f"{here:02x}", *after])
