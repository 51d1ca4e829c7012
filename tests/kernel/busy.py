# SPDX-License-Identifier: MIT
"""The in-guest program `busy`: processes to be looked at."""

from __future__ import annotations

from collections.abc import Callable

from vmlab.guest.guest import Guest

Start = Callable[..., tuple[int, int]]
"""`start("zombie", within="unshare … sh -c '{command}'")` starts it as the ordinary user; returns the ids it prints."""


class Processes:
    """Starts `busy`, which lies at `path`, in a guest, and ends what it started."""

    def __init__(self, guest: Guest, path: str) -> None:
        self._guest = guest
        self._path = path
        self._started = 0

    def start(self, words: str = "", *, within: str = "") -> tuple[int, int]:
        """Start it in the background with some words, or within another command; returns the two ids it prints."""
        output = f"/tmp/busy-{self._started}.out"
        command = f"{self._path} {words} >{output}"
        whole = within.format(command=command) if within else command
        self._started += 1
        # One command: each takes a tenth of a second and more under emulation.
        wait = f"until grep -s . {output}; do tries=$((tries + 1)); [ $tries -lt 600 ] || exit 1; sleep 0.05; done"
        begin = f"rm -f {output}; ({whole}) </dev/null >/dev/null 2>/tmp/busy.err & tries=0"
        first, second = self._guest.succeed(f"{begin}; {wait}").split()
        return int(first), int(second)

    def end(self) -> None:
        """End every one."""
        if not self._guest.is_lost:
            self._guest.as_root(f"pkill -9 -f ^{self._path}; true")
