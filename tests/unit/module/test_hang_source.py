# SPDX-License-Identifier: MIT
"""A hang's reason names the source line in which a task is blocked."""

from __future__ import annotations

from pathlib import Path

from vmlab.errors import CommandHung
from vmlab.module.hang_source import locate_hang
from vmlab.module.symbols import Symbols

_BLOCKED = (
    "task:cat             state:D stack:    0 pid:  502 ppid:   501 flags:0x00004002",
    "Call Trace:",
    " __schedule+0x2f1/0x9d0",
    " schedule+0x5d/0xe0",
    " ? stale+0x1/0x10 [sleeps]",
    " go+0xf/0x30 [sleeps]",
    " sleeps_read+0x21/0x40 [sleeps]",
    " vfs_read+0xa1/0x310",
)


class _Symbols(Symbols):
    def __init__(self, **lines: str) -> None:
        super().__init__(Path("none.ko"))
        self._known = lines

    def source_of(self, function: str, offset: int) -> str:
        return self._known.get(f"{function}_{offset:x}", "")


def _hung(module: str = "sleeps") -> CommandHung:
    hung = CommandHung(f"'cat' took longer than 5 s; the guest still answers; the hang is in {module}: go+0xf")
    hung.trace = _BLOCKED
    return hung


def test_the_blocked_functions_line_is_in_the_reason() -> None:
    hung = _hung()

    locate_hang(hung, _Symbols(go_e="sleeps.c:12", sleeps_read_20="sleeps.c:30"), "sleeps")

    assert hung.message.endswith("the hang is in sleeps: go at sleeps.c:12")
    assert hung.source == "sleeps.c:12"


def test_every_frame_in_the_module_has_its_line_in_the_evidence() -> None:
    hung = _hung()

    locate_hang(hung, _Symbols(go_e="sleeps.c:12", sleeps_read_20="sleeps.c:30"), "sleeps")

    assert hung.detail.splitlines()[:3] == [
        "in the source of sleeps:",
        "  go+0xf/0x30 [sleeps]  sleeps.c:12",
        "  sleeps_read+0x21/0x40 [sleeps]  sleeps.c:30",
    ]


def test_a_hang_in_another_module_stays_as_it_is() -> None:
    hung = _hung("other")
    before = hung.message

    locate_hang(hung, _Symbols(go_e="sleeps.c:12"), "fibdrv")

    assert (hung.message, hung.source) == (before, "")


def test_a_hang_whose_lines_are_unknown_keeps_its_function_and_offset() -> None:
    hung = _hung()

    locate_hang(hung, _Symbols(), "sleeps")

    assert hung.message.endswith(": go+0xf")
