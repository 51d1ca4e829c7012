# SPDX-License-Identifier: MIT
"""What the host can still ask of a machine whose guest answers no more."""

from __future__ import annotations

import os
from pathlib import Path

from vmlab.errors import HostError, MachineLost
from vmlab.machine.argv import CONSOLE_NAME
from vmlab.machine.memory_dump import finish_dump
from vmlab.machine.qmp import Monitor
from vmlab.machine.stale_trap import find_stale_trap

_DUMP_CALLS = 10
"""The time for writing a guest's memory, as a multiple of that for another answer of the monitor."""


class Probes:
    """Sysrq keys, a non-maskable interrupt, the processors' registers, a dump of the memory: all through QEMU's
    monitor. Each raises `MachineLost` when QEMU is gone."""

    def __init__(self, monitor: Monitor, keyboard: Path) -> None:
        """`keyboard` is the pipe that QEMU reads what is typed from."""
        self._monitor = monitor
        self._keyboard_path = keyboard
        self._keyboard: int | None = None

    def sysrq(self, key: str) -> None:
        """Send a break and a key to the serial console, which is a sysrq of the kernel's
        (Documentation/admin-guide/sysrq.rst). What it prints is on the console."""
        if self._keyboard is None:
            # For reading too, so that opening it waits for nobody, also when QEMU is gone.
            self._keyboard = os.open(self._keyboard_path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._command(f"chardev-send-break {CONSOLE_NAME}")
        os.write(self._keyboard, key.encode())

    def stale_trap(self) -> str:
        """Return the place where a processor traps without end at a breakpoint that is gone, and its code; empty where
        none does. The guest stands still for moments; costs a second."""

        def ask(command: str, cpu: int) -> str:
            return str(self._monitor.execute("human-monitor-command", {"command-line": command, "cpu-index": cpu}))

        return find_stale_trap(
            ask, pause=lambda: self._monitor.execute("stop"), go_on=lambda: self._monitor.execute("cont")
        )

    def inject_nmi(self) -> None:
        """A non-maskable interrupt for every processor; with `unknown_nmi_panic` the kernel panics over it."""
        self._monitor.execute("inject-nmi")

    def registers(self) -> str:
        """All processors' registers as QEMU shows them."""
        return self._command("info registers -a")

    def dump(self, path: Path) -> None:
        """Write the guest's memory to a file, as large as that, and beside it what drgn needs to know besides
        (`vmcore.note_path`); the guest stands still meanwhile, some seconds for a GiB. Only its owner may read it.

        Raises `HostError` when it cannot be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(f"the guest's memory cannot be dumped to {str(path)!r}: {error.strerror}") from None
        try:
            self._monitor.hand_over("dump", descriptor)
        finally:
            os.close(descriptor)
        try:
            self._monitor.execute(
                "dump-guest-memory",
                {"paging": False, "protocol": "fd:dump"},
                timeout_s=_DUMP_CALLS * self._monitor.call_s,
            )
        except MachineLost as refusal:
            path.unlink(missing_ok=True)
            raise HostError(f"the guest's memory was not dumped: {refusal.message}") from None
        finish_dump(path)

    def close(self) -> None:
        """Let go of the keyboard; safe to call again."""
        if self._keyboard is not None:
            os.close(self._keyboard)
            self._keyboard = None

    def _command(self, line: str) -> str:
        return str(self._monitor.execute("human-monitor-command", {"command-line": line}))
