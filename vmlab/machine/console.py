# SPDX-License-Identifier: MIT
"""Reader of the serial console, a file that QEMU writes from power-on."""

from __future__ import annotations

import re
from pathlib import Path

# Terminal sequences that systemd and firmware print.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_PANIC = re.compile(r"Kernel panic - not syncing: ?([^\n]*)")
TAIL_HEADING = "--- console, last lines ---"
_TAIL_LINES = 25


class Console:
    """Reads a console file, which may not exist yet and may grow meanwhile."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def text(self, *, after: int = 0, until: int | None = None) -> str:
        """Console text so far, or between two byte offsets, without terminal sequences; bytes that are not UTF-8 are
        shown as escapes."""
        try:
            with self.path.open("rb") as file:
                file.seek(after)
                raw = file.read(-1 if until is None else max(0, until - after))
        except FileNotFoundError:
            return ""
        return clean(raw.decode("utf-8", errors="backslashreplace"))

    def size(self) -> int:
        """Number of bytes printed so far."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def tail(self, lines: int = _TAIL_LINES) -> str:
        """The last lines, as evidence below an error."""
        last = self.text().rstrip().splitlines()[-lines:]
        return "\n".join([TAIL_HEADING, *last]) if last else "--- the console is empty ---"

    def panic(self) -> str:
        """Message of the kernel's panic; empty when it did not panic."""
        match = _PANIC.search(self.text())
        return match[1].strip() if match else ""


def clean(text: str) -> str:
    """Console text without terminal sequences, carriage returns and NULs."""
    return _ESCAPE.sub("", text).replace("\r", "").replace("\0", "")
