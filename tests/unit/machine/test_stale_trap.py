# SPDX-License-Identifier: MIT
"""An endless trap at a breakpoint that is not in memory is detected from registers, stack and code."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from vmlab.machine import stale_trap
from vmlab.machine.stale_trap import find_stale_trap

_IDT = 0xFFFFFE0000000000
_STUB = 0xFFFFFFFF95C00C00
_STACK = 0xFFFFD554C0507B00
_SITE = 0xFFFFFFFF95B982D0
_REGISTERS = """\
CPU#{}
RAX=0 RSP={:016x}
RIP={:016x} RFL=00000086 [--S--P-] CPL={} II=0
IDT=     {:016x} 00000fff
"""
_NOT_TRAPPED = [0x1111] * 40


def _in_trap(ip: int = _SITE + 1, *, cs: int = 0x10, orig_ax: int = 2**64 - 1) -> list[int]:
    registers = [7] * 15
    return [3, 5, _STUB + 0x39, *registers, orig_ax, ip, cs, 0x86, _STACK, 0x18]


class _Machine:
    """Two processors, of which the first is in the kernel."""

    def __init__(self, *stacks: list[int], code: str = "e9 f7 02 00 00 48", cpl: int = 0) -> None:
        self._stacks: Iterator[list[int]] = iter(stacks)
        self._memory: dict[int, int] = {}
        self._code = bytes.fromhex(code)
        self._cpl = cpl
        self.is_paused = False
        self.pauses = 0

    def pause(self) -> None:
        self.is_paused = True
        self.pauses += 1

    def go_on(self) -> None:
        self.is_paused = False

    def ask(self, command: str, cpu: int) -> str:
        assert self.is_paused
        if command == "info registers -a":
            row = (
                "CPU#{}\nRAX=0 RSP={:016x}\nRIP={:016x} RFL=00000086 [--S--P-] CPL={} II=0\nIDT=     {:016x} 00000fff\n"
            )
            return row.format(0, _STACK, _STUB + 5, self._cpl, _IDT) + row.format(1, 0, 0, 3, _IDT)
        match = re.fullmatch(r"x /(\d+)(g|b)x (0x[0-9a-f]+)", command)
        assert match is not None
        count, address = int(match[1]), int(match[3], 16)
        if match[2] == "b":
            read = (b"\x66" * 8 + self._code)[address - _SITE + 8 :][:count]
            return f"{address:016x}: " + " ".join(f"0x{byte:02x}" for byte in read) + "\n"
        if address == _IDT + 48:
            gate = [(_STUB & 0xFFFF) | 0x10 << 16 | 0x8E00 << 32 | (_STUB >> 16 & 0xFFFF) << 48, _STUB >> 32]
            return self._shown(address, gate)
        return self._shown(address, next(self._stacks, _NOT_TRAPPED))

    def _shown(self, address: int, words: list[int]) -> str:
        pairs = [words[place : place + 2] for place in range(0, len(words), 2)]
        rows = [" ".join(f"0x{word:016x}" for word in pair) for pair in pairs]
        return "".join(f"{address + 16 * number:016x}: {row}\n" for number, row in enumerate(rows))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stale_trap, "SAMPLE_PAUSE_S", 0.0)


def _found(machine: _Machine) -> str:
    return find_stale_trap(machine.ask, pause=machine.pause, go_on=machine.go_on)


def test_a_trap_seen_again_and_again_without_its_breakpoint_is_stale() -> None:
    machine = _Machine(*[_in_trap()] * 3)

    assert _found(machine) == "0xffffffff95b982d0: e9 f7 02 00 00 48"
    assert not machine.is_paused


def test_a_trap_that_is_seen_in_turns_with_other_code_is_stale_too() -> None:
    machine = _Machine(*[_in_trap(), _NOT_TRAPPED] * 5)

    assert _found(machine).startswith("0xffffffff95b982d0")


def test_a_trap_that_is_over_at_the_next_look_is_the_kernels_own() -> None:
    assert _found(_Machine(*[_in_trap()] * 2)) == ""


@pytest.mark.parametrize("code", ["cc f7 02 00 00 48", "e9 cc 02 00 00 48"], ids=["behind it", "set back to it"])
def test_a_trap_whose_breakpoint_is_in_memory_is_the_modules(code: str) -> None:
    assert _found(_Machine(*[_in_trap()] * 30, code=code)) == ""


@pytest.mark.parametrize(
    "stack", [_in_trap(cs=0x33), _in_trap(orig_ax=57), [_STUB + 0x39], []], ids=["user", "other", "short", "empty"]
)
def test_a_stack_without_such_a_trap_is_none(stack: list[int]) -> None:
    assert _found(_Machine(*[stack] * 30)) == ""


def test_a_processor_in_user_space_is_not_looked_at() -> None:
    assert _found(_Machine(*[_in_trap()] * 30, cpl=3)) == ""


def test_registers_of_another_architecture_are_none() -> None:
    machine = _Machine()

    found = find_stale_trap(lambda *_: "CPU#0\n PC=ffff800008", pause=machine.pause, go_on=machine.go_on)

    assert found == ""
    assert machine.pauses == 30
