# SPDX-License-Identifier: MIT
"""Detect an emulated processor that traps endlessly at a removed breakpoint: QEMU's stale translation.

Reads registers and memory through QEMU's monitor, because the kernel cannot report it. amd64 only: other
architectures do not patch code with breakpoints.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

_SAMPLES = 30
SAMPLE_PAUSE_S = 0.02
_CERTAIN = 3
"""Samples of one processor in the same trap that prove it: a trap that the kernel handles takes microseconds."""
_INT3 = 0xCC
_STUB_BYTES = 0x60
"""Upper limit of the size of the breakpoint trap's entry code, asm_exc_int3 (0x40 bytes on 6.1)."""
_STACK_WORDS = 192
_ORIG_AX, _IP, _CS = 16, 17, 18
"""Offsets of pt_regs members, in words from the return address below it (arch/x86/include/asm/ptrace.h)."""
_NO_ERROR_CODE = 2**64 - 1
_KERNEL_CS = 0x10
_BREAKPOINT_GATE = 3 * 16
_FIELDS = {
    "rip": re.compile(r"\bRIP=([0-9a-f]{16})"),
    "rsp": re.compile(r"\bRSP=([0-9a-f]{16})"),
    "cpl": re.compile(r"\bCPL=(\d)"),
    "idt": re.compile(r"\bIDT=\s+([0-9a-f]{16})"),
}
_WORD = re.compile(r"\b0x([0-9a-f]{1,16})\b")

Ask = Callable[[str, int], str]
"""Function that runs a command of QEMU's human monitor on a processor, by number, and returns its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Processor:
    cpu: int
    rip: int
    rsp: int
    idt: int


def find_stale_trap(ask: Ask, *, pause: Callable[[], None], go_on: Callable[[], None]) -> str:
    """Return the address of such a trap and the code there, as `0xffffffff95b982d0: e9 f7 02 00 00`; empty if none.

    `pause` and `go_on` stop and start the processors around each of up to thirty samples. Takes a second.
    """
    seen: Counter[tuple[int, int]] = Counter()
    for _ in range(_SAMPLES):
        pause()
        try:
            for processor in _processors(ask("info registers -a", 0)):
                trapped = _trapped_at(processor, ask)
                if trapped:
                    seen[processor.cpu, trapped] += 1
                if seen[processor.cpu, trapped] == _CERTAIN:
                    return _described(trapped, processor.cpu, ask)
        finally:
            go_on()
        time.sleep(SAMPLE_PAUSE_S)
    return ""


def _processors(text: str) -> list[_Processor]:
    """Parse the registers of the processors that execute kernel code."""
    found = []
    for part in re.split(r"^CPU#", text, flags=re.MULTILINE)[1:]:
        number = re.match(r"\d+", part)
        fields = {name: pattern.search(part) for name, pattern in _FIELDS.items()}
        if number is None or any(match is None for match in fields.values()):
            continue
        values = {name: match[1] for name, match in fields.items() if match is not None}
        if values.pop("cpl") == "0":
            found.append(_Processor(cpu=int(number[0]), **{name: int(word, 16) for name, word in values.items()}))
    return found


def _trapped_at(processor: _Processor, ask: Ask) -> int:
    """Address of the breakpoint whose trap a processor handles, if it is not in memory; else 0."""
    low, high = (*_words(ask(f"x /2gx {processor.idt + _BREAKPOINT_GATE:#x}", processor.cpu)), 0, 0)[:2]
    stub = low & 0xFFFF | (low >> 48) << 16 | (high & 0xFFFFFFFF) << 32
    if not stub:
        return 0
    stack = _words(ask(f"x /{_STACK_WORDS}gx {processor.rsp:#x}", processor.cpu))
    for place in range(len(stack) - _CS):
        if (
            stub < stack[place] <= stub + _STUB_BYTES
            and stack[place + _ORIG_AX] == _NO_ERROR_CODE
            and stack[place + _CS] & 0xFFFF == _KERNEL_CS
        ):
            return _missing_breakpoint(stack[place + _IP], processor.cpu, ask)
    return 0


def _missing_breakpoint(ip: int, cpu: int, ask: Ask) -> int:
    # The saved address is after the breakpoint instruction, unless the kernel has moved it back.
    code = _words(ask(f"x /2bx {ip - 1:#x}", cpu))
    return 0 if len(code) != 2 or _INT3 in code else ip - 1


def _described(address: int, cpu: int, ask: Ask) -> str:
    code = _words(ask(f"x /6bx {address:#x}", cpu))
    return f"{address:#x}: {' '.join(f'{byte:02x}' for byte in code)}"


def _words(text: str) -> list[int]:
    """Parse the words that `x` printed, without the addresses before the colons."""
    return [int(word, 16) for line in text.splitlines() for word in _WORD.findall(line.partition(":")[2])]
