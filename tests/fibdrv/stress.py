# SPDX-License-Identifier: MIT
"""The in-guest program `fibstress`: it checks what it sees itself, and says `ok: …` or `WRONG: …`."""

from __future__ import annotations

import re
from collections.abc import Callable

from vmlab.guest.guest import Guest

from .probe import DEVICE

Program = Callable[[str], str]
"""The fixture `program`: the path in the guest of a program among the module's sources."""


def stress(guest: Guest, path: str, *words: str | int, as_root: bool = False, timeout_s: float | None = None) -> str:
    """What one of its commands on the device says when all was right; a failed assertion with its words otherwise."""
    command, *rest = words
    line = " ".join(map(str, [path, command, DEVICE, *rest]))
    done = guest.root(line, timeout_s=timeout_s) if as_root else guest.run(line, timeout_s=timeout_s)
    said = done.stdout.strip()
    assert done.ok, f"fibstress {command}: {said or done.stderr.strip() or f'status {done.status}'}"
    assert said.startswith("ok: "), said
    return said


def number_in(said: str, word: str) -> int:
    """The number after a word in what it said."""
    found = re.search(rf"\b{word} (\d+)", said)
    assert found is not None, said
    return int(found[1])
