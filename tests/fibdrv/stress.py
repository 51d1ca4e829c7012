# SPDX-License-Identifier: MIT
"""Wrapper of the in-guest program `fibstress`, which checks its own results and prints `ok: …` or `WRONG: …`."""

from __future__ import annotations

import re
from collections.abc import Callable

from vmlab.guest.guest import Guest

from .probe import DEVICE

Program = Callable[[str], str]
"""The fixture `program`: returns the path in the guest of a program from the module's sources."""


def stress(guest: Guest, path: str, *words: str | int, as_root: bool = False, timeout_s: float | None = None) -> str:
    """Run one `fibstress` command on the device and return its output; assert that it ended with `ok`."""
    command, *rest = words
    line = " ".join(map(str, [path, command, DEVICE, *rest]))
    done = guest.root(line, timeout_s=timeout_s) if as_root else guest.run(line, timeout_s=timeout_s)
    said = done.stdout.strip()
    assert done.ok, f"fibstress {command}: {said or done.stderr.strip() or f'status {done.status}'}"
    assert said.startswith("ok: "), said
    return said


def number_in(said: str, word: str) -> int:
    """The number after a word in the program's output."""
    found = re.search(rf"\b{word} (\d+)", said)
    assert found is not None, said
    return int(found[1])
