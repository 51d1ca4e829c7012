# SPDX-License-Identifier: MIT
"""Limit of the kernel log's classifier: the time to judge a mebibyte of any content."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path

from rows import Limit, Measured

from vmlab.klog.log import parse_console
from vmlab.klog.rules import known_rules
from vmlab.klog.splat import find_reports

ROOT = Path(__file__).parents[2]
_MIB = 2**20
_TIMES = 5
_QUIET = (
    "systemd[1]: Started something or other that goes on for a while.",
    "virtio_net virtio0 eth0: link is up",
    "EXT4-fs (vda1): mounted filesystem with ordered data mode. Quota mode: none.",
)


def _kinds() -> dict[str, Sequence[str]]:
    """Kinds of logs, as lines to repeat, without time stamps."""
    files = sorted(ROOT.glob("tests/unit/klog/reports/*.txt"))
    literals = [rule.literal for rule in known_rules().deny]
    return {
        "quiet": _QUIET,
        "every report that is a fixture": [
            line.partition("] ")[2] for path in files for line in path.read_text().splitlines()
        ],
        "rules' words in the wrong place": [f"gauge: no {literal} is here" for literal in literals],
        "rules' words and no more": [literal[:-1] for literal in literals],
        "frames": [" gauge_read+0x4a/0xb0 [gauge]", " vfs_read+0xb4/0x320"],
        "registers": ["BUG: x", *["RIP: 0010:gauge_read+0x4a/0xb0 [gauge]"] * 50],
        "titles of six letters": ["BUG: x"],
    }


def _log(texts: Sequence[str]) -> str:
    lines: list[str] = []
    size = 0
    for number, text in enumerate(itertools.cycle(texts)):
        if size >= _MIB:
            break
        lines.append(f"[{number / 1000:12.6f}] {text}")
        size += len(lines[-1]) + 1
    return "\n".join(lines)


def _fastest_ms(text: str) -> float:
    """CPU time in ms of the fastest of several runs, since a busy host only adds time."""
    records = parse_console(text)
    taken = []
    for _ in range(_TIMES):
        started = time.process_time()
        find_reports(records)
        taken.append((time.process_time() - started) * 1000)
    return min(taken)


def judging() -> Measured:
    """`find_reports` on a mebibyte in console format; the slowest kind of log."""
    figures = {name: _fastest_ms(_log(texts)) for name, texts in _kinds().items()}
    conditions = {name: f"{ms:.0f} ms" for name, ms in figures.items()}
    return Measured(value=max(figures.values()), conditions=conditions | {"repetitions": f"{_TIMES}, fastest"})


LIMITS = (Limit(name="classifier.judging_1_mib", limit=50, unit="ms", measure=judging),)
