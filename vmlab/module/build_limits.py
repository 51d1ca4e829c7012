# SPDX-License-Identifier: MIT
"""Limits of a build on the host that make one of its commands fail, recognized by that command's words. Pure.

All places where a build may write are in one file system in memory, and its commands run with LC_ALL=C.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from vmlab.module.sandbox import FILES

_WORDS = {
    "space": "No space left on device",
    # dash; bash, make, and programs that start threads (EAGAIN of fork(2) and pthread_create(3)).
    "nproc": "Cannot fork|(?:fork|spawn|clone|thread).*Resource temporarily unavailable",
    "fsize": "File size limit exceeded|File too large",
    "nofile": "Too many open files",
    "as": "Cannot allocate memory|virtual memory exhausted",
}
"""Words for the file system's size and for each resource limit, by the names of prlimit's options."""
_ANY = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _WORDS.items()))
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Size of a build's file system, and whether it can have more files."""

    space_mib: int
    has_inodes: bool


def reached_limit(output: str, room: Room, limits: Mapping[str, int]) -> str:
    """Return the limit that the first such words in a failed command's output name, and the line with them; empty if
    there are none. `limits` are the resource limits of the build, by the names of prlimit's options."""
    for found in _ANY.finditer(output):
        name = str(found.lastgroup)
        if name == "space" or name in limits:
            line = output[output.rfind("\n", 0, found.start()) + 1 :].partition("\n")[0].strip()
            return f"its limit of {_told(name, room, limits.get(name, 0))}: {line}"
    return ""


def _told(name: str, room: Room, limit: int) -> str:
    if name == "space":
        return f"{_size(room.space_mib * 2**20)} of files" if room.has_inodes else f"{FILES:,} files"
    what = {"nproc": "processes", "nofile": "open files in one process"}
    if name in what:
        return f"{limit} {what[name]}"
    return f"{_size(limit)} {'in one file' if name == 'fsize' else 'of address space in one process'}"


def _size(size_bytes: int) -> str:
    return f"{size_bytes // _GIB} GiB" if size_bytes % _GIB == 0 else f"{size_bytes // 2**20} MiB"
