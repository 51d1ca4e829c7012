# SPDX-License-Identifier: MIT
"""Probes of a machine whose guest no longer answers."""

from __future__ import annotations

import os
from pathlib import Path

from vmlab.errors import HostError, MachineLost
from vmlab.machine.argv import CONSOLE_NAME
from vmlab.machine.memory_dump import finish_dump
from vmlab.machine.qmp import Monitor
from vmlab.machine.stale_trap import find_stale_trap

_DUMP_CALLS = 10
"""Timeout for a memory dump, as a multiple of the timeout for an answer of the monitor."""


class Probes:
    """Probes through QEMU's monitor: sysrq keys, NMI, registers and a memory dump. Each raises `MachineLost` when QEMU
    is gone."""

    def __init__(self, monitor: Monitor, keyboard: Path) -> None:
        """Use a monitor and `keyboard`, the pipe that QEMU reads the guest's input from."""
        self._monitor = monitor
        self._keyboard_path = keyboard
        self._keyboard: int | None = None

    def sysrq(self, key: str) -> None:
        """Send a break and a key to the serial console, which the kernel takes as a sysrq
        (Documentation/admin-guide/sysrq.rst). The output is on the console."""
        if self._keyboard is None:
            # Open for reading too: open(2) does not block then, even without QEMU at the other end.
            self._keyboard = os.open(self._keyboard_path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._command(f"chardev-send-break {CONSOLE_NAME}")
        os.write(self._keyboard, key.encode())

    def stale_trap(self) -> str:
        """Return the address where a processor traps endlessly at a removed breakpoint, and the code there; empty if
        none does. Pauses the guest briefly and repeatedly; takes a second."""

        def ask(command: str, cpu: int) -> str:
            return str(self._monitor.execute("human-monitor-command", {"command-line": command, "cpu-index": cpu}))

        return find_stale_trap(
            ask, pause=lambda: self._monitor.execute("stop"), go_on=lambda: self._monitor.execute("cont")
        )

    def inject_nmi(self) -> None:
        """Inject an NMI into every processor; with `unknown_nmi_panic` the kernel panics."""
        self._monitor.execute("inject-nmi")

    def registers(self) -> str:
        """Registers of all processors, in QEMU's format."""
        return self._command("info registers -a")

    def dump(self, path: Path) -> None:
        """Write the guest's memory to a file of that size, and drgn's note beside it (`memory_dump.note_path`).

        Pauses the guest for some seconds per GiB. Only the owner may read the file. Raises `HostError` when it cannot
        be written.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise HostError(f"cannot dump the guest's memory to {str(path)!r}: {error.strerror}") from None
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
        """Close the keyboard; can be called more than once."""
        if self._keyboard is not None:
            os.close(self._keyboard)
            self._keyboard = None

    def _command(self, line: str) -> str:
        return str(self._monitor.execute("human-monitor-command", {"command-line": line}))
