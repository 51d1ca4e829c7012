# SPDX-License-Identifier: MIT
"""Wrapper of the in-guest program `busy`: processes to inspect."""

from __future__ import annotations

from collections.abc import Callable

from vmlab.guest.guest import Guest

Start = Callable[..., tuple[int, int]]
"""`start("zombie", within="unshare … sh -c '{command}'")` starts it as the ordinary user; returns the printed ids."""


class Processes:
    """Starts the program `busy` at `path` in a guest, and ends the processes it started."""

    def __init__(self, guest: Guest, path: str) -> None:
        self._guest = guest
        self._path = path
        self._started = 0

    def start(self, words: str = "", *, within: str = "") -> tuple[int, int]:
        """Start it in the background with arguments, or within another command; return the two printed ids."""
        output = f"/tmp/busy-{self._started}.out"
        command = f"{self._path} {words} >{output}"
        whole = within.format(command=command) if within else command
        self._started += 1
        # One command: each takes 0.1 s or more under emulation.
        wait = f"until grep -s . {output}; do tries=$((tries + 1)); [ $tries -lt 600 ] || exit 1; sleep 0.05; done"
        begin = f"rm -f {output}; ({whole}) </dev/null >/dev/null 2>/tmp/busy.err & tries=0"
        first, second = self._guest.succeed(f"{begin}; {wait}").split()
        return int(first), int(second)

    def end(self) -> None:
        """End all started processes."""
        if not self._guest.is_lost:
            self._guest.as_root(f"pkill -9 -f ^{self._path}; true")
