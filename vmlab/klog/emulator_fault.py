# SPDX-License-Identifier: MIT
"""Detect an emulator fault in the kernel's report: a breakpoint trap where the code has no breakpoint. Pure.

The kernel patches its code at run time (static keys, tracepoints, ftrace). It writes an int3 over an instruction, then
the new instruction, and interrupts the other processors in between (arch/x86/kernel/alternative.c, text_poke_bp).
QEMU 7.2 with a thread per emulated processor may still execute its translation of the int3 after that. The kernel
does not expect this trap: it oopses ("Oops: int3"), or returns to the instruction and traps again, endlessly
(kprobe_int3_handler() of older kernels). No real processor does that.
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
"""Maximum of lines from the trap's frames to the position that trapped: 5.10 to 7.3 print it right after them."""


def spurious_breakpoint(lines: Sequence[str]) -> str:
    """Return the position that trapped and the code there, as `__schedule+0x1bd: 0f 1f 44 00 00`. Empty if no trap is
    reported, or the breakpoint exists, or the report does not show the code."""
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
    """Error for such a trap at a position, `__schedule+0x1bd: 0f 1f 44 00 00`."""
    return EmulatorFault(
        f"the emulator executed a breakpoint that the kernel had already removed, at {place}",
        hint="see docs/trouble.md; use --vmlab-cpus 1, where this fault does not occur",
        detail=detail,
    )


def _without_breakpoint(code: re.Match[str]) -> str:
    """Bytes at a trap, from the supposed breakpoint on; empty if it is a breakpoint."""
    before = [int(byte, 16) for byte in code["before"].split()]
    here = int(code["here"], 16)
    # The saved address is after the breakpoint instruction, unless the kernel has moved it back.
    if not before or _INT3 in (before[-1], here):
        return ""
    after = code["after"].split()[:3]
    return " ".join([f"{before[-1]:02x}", f"{here:02x}", *after])
