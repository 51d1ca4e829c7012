# SPDX-License-Identifier: MIT
"""Source lines from a module's debug information, read by another process with limits."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from vmlab.decode import structure
from vmlab.errors import VmlabError
from vmlab.klog.call_trace import Line
from vmlab.module.symbol_reader import CPU_S
from vmlab.module.symbols import Symbols
from vmlab.system.process import run

_MOST_REQUESTS = 2000
"""Maximum of addresses that are resolved: a report has some twenty."""

_Lines = tuple[tuple[Line, ...], ...]


class ConfinedSymbols(Symbols):
    """Functions and lines of a built module that is not trusted. The first request takes some 0.3 s for a process;
    those of a whole report are answered together."""

    def __init__(self, ko: Path, *, root: str = "", cpu_s: int = CPU_S) -> None:
        """Describe a module as `Symbols` does; reads nothing yet. The process may use `cpu_s` seconds of processor
        time, and run twice as long."""
        self._cpu_s = cpu_s
        self._ko = ko
        self._root = root
        self._known: dict[tuple[str, int], tuple[Line, ...]] = {}

    def learn(self, places: Iterable[tuple[str, int]]) -> None:
        wanted = tuple(dict.fromkeys(place for place in places if place not in self._known))[:_MOST_REQUESTS]
        if wanted:
            try:
                changed = self._ko.stat().st_mtime_ns
            except OSError:
                return
            self._known.update(zip(wanted, _read(self._ko, changed, self._root, self._cpu_s, wanted), strict=False))

    def lines_of(self, function: str, offset: int) -> tuple[Line, ...]:
        self.learn([(function, offset)])
        return self._known.get((function, offset), ())


@functools.lru_cache(maxsize=64)
def _read(ko: Path, changed: int, root: str, cpu_s: int, places: tuple[tuple[str, int], ...]) -> _Lines:
    """Ask the process; empty if it could not read the file within its limits. Cached, because a report is resolved for
    the error, the terminal and the result file."""
    del changed
    # -P: no module of the working directory, which is the tested project's, is imported.
    words = [sys.executable, "-P", "-m", "vmlab.module.symbol_reader", str(ko), root, str(cpu_s)]
    paths = os.pathsep.join(path for path in sys.path if path)
    try:
        done = run(
            words,
            timeout_s=2 * cpu_s,
            input_text=json.dumps(places),
            environment={"PYTHONPATH": paths},
            grace_s=1,
        )
        answers = json.loads(done.output) if done.ok else []
        return tuple(tuple(structure(row, Line, where="symbol reader") for row in rows) for rows in answers)
    except (VmlabError, ValueError):
        return ()
