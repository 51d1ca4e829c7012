# SPDX-License-Identifier: MIT
"""Shared by the attacks of build commands: a secret of the host, and processes that must not survive."""

from __future__ import annotations

import os
import time
from pathlib import Path

from vmlab.module.build_root import HostPlace

SECRET = "b5d1e0-the-hosts-secret"
MARK = f"987654.{os.getpid()}"
"""Seconds that a sleep which must not survive sleeps: its command line is found by it, and is no other run's."""


def attempt(place: HostPlace, command: str) -> str:
    """Run a command that may fail, and return its output and errors."""
    return place.run(f"{{ {command}\n}} 2>&1; echo the end", timeout_s=30).output


def survivors() -> list[str]:
    """Processes on this host with the mark in their command lines, after a moment for the kernel to end them."""
    for _ in range(200):
        found = [str(path) for path in Path("/proc").glob("[0-9]*/cmdline") if is_marked(path)]
        if not found:
            return []
        time.sleep(0.1)
    return found


def is_marked(path: Path) -> bool:
    try:
        return MARK.encode() in path.read_bytes()
    except OSError:
        return False
