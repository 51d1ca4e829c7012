# SPDX-License-Identifier: MIT
"""Program that reads source lines from a module's debug information, with limits on memory and processor time.

DWARF can name sizes, counts and loops that pyelftools follows without end, and the file is the product of a build that
the lab does not trust. The requests are a JSON list on standard input, the answer is one JSON list.
"""

from __future__ import annotations

import dataclasses
import json
import resource
import sys
from pathlib import Path

from vmlab.module.symbols import Symbols

MEMORY_BYTES = 3 << 30
"""Address space: a module with 100 MB of debug information takes 0.7 GB."""
CPU_S = 20
"""Processor time: fibdrv takes 0.3 s, a module with 100 MB of debug information ten."""
LONGEST_TEXT = 4096
"""Maximum length of a path or a function's name (PATH_MAX)."""


def main(ko: str, root: str, cpu_s: str) -> None:
    """Answer the requests on standard input."""
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, int(cpu_s)),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    symbols = Symbols(Path(ko), root=root)
    answers = []
    for function, offset in json.load(sys.stdin):
        lines = symbols.lines_of(function, offset)
        is_short = all(len(line.file) <= LONGEST_TEXT and len(line.function) <= LONGEST_TEXT for line in lines)
        answers.append([dataclasses.asdict(line) for line in lines if is_short])
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
