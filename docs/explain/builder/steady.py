# SPDX-License-Identifier: MIT
"""Replaces parts of commands and outputs that differ in every run, and marks the replacements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TIMES = (
    # Terminal colours.
    (re.compile(r"\x1b\[[\d;]*[A-Za-z]"), ""),
    # Time stamps of the kernel log.
    (re.compile(r"^(<\d+>)?\[ *\d+\.\d{6}\]", re.MULTILINE), r"\1[⟨t⟩]"),
    # The function graph's column of durations, with its marks for long ones.
    (re.compile(r"^( *\d+\))[ $@*#!+]* *(?:[\d.]+ us)? +\|", re.MULTILINE), r"\1  |"),
    # File times from ls, and line times from journalctl.
    (re.compile(rf"\b(?:{_MONTH}) [ \d]\d (?:\d\d:\d\d(?::\d\d)?| \d{{4}})(?!\d)"), "⟨t⟩"),
    # perf stat: measured and derived values.
    (re.compile(r"\b\d[\d.,]*(?= (?:seconds (?:time elapsed|user|sys)|msec))"), "⟨t⟩"),
    (re.compile(r"(#\s+)\d[\d.,]*(?= +(?:CPUs utilized|[KMG]?/sec|[KMG]Hz))"), r"\1⟨n⟩"),
    (re.compile(r"^( +)\d[\d,]*(?= +(?:context-switches|cpu-migrations|page-faults|dummy)\b)", re.MULTILINE), r"\1⟨n⟩"),
    # perf record, perf top, and uniq -c of perf script.
    (re.compile(r"\(\d+(?= samples\))"), "(⟨n⟩"),
    (re.compile(r"(?<=Woken up )\d+(?= times)|(?<=wrote )\d+\.\d+(?= MB)|\b\d+\.\d+(?=%)"), "⟨n⟩"),
    (re.compile(r"^( +)\d+(?= {2,}seq\b)", re.MULTILINE), r"\1⟨n⟩"),
    # A test names its uploaded program by digest.
    (re.compile(r"\bbusy-[0-9a-f]{20}\b"), "busy"),
    # Offset in a function: it differs in every build, so it is not a difference between releases.
    (re.compile(r"(?<=\w)\+0x[0-9a-f]+/0x[0-9a-f]+"), ""),
    # The machine id, in the journal's paths.
    (re.compile(r"\b[0-9a-f]{32}\b"), "⟨id⟩"),
)
_FOREIGN = re.compile(
    r"^(?:vmlab: .* (?:begins|ends) [0-9a-f]{8}|hrtimer: interrupt took \d+ ns|vmlab-\S*)\n?", re.MULTILINE
)
"""Kernel log lines unrelated to the experiments: the lab's marks, and a slow host's messages."""
_SILENT = re.compile(r"(?<=\n)\n(?=[#$] )")
"""Empty line between a command without output and the next command."""
# Kernel addresses on both architectures, and user addresses from strace. Hidden addresses, all zeros, stay.
_ADDRESS = re.compile(r"\b(?:0x)?ffff[0-9a-f]{12}\b|\b0x(?:7f|5[56])[0-9a-f]{10}\b")
# A number counts as a process id where its context says so, then everywhere. Small ids belong to the kernel.
_PROCESS = re.compile(
    r"(?:/proc/|/task/|\bkill -\w+ |\b(?:pid|thread|process)[ :=]+| -[pt] )(\d{3,7})(?=[/\s),;:]|$)"
    r"|\w \((\d{3,7})(?=\):)"
)


def steady(*texts: str, processes: Iterable[int] = ()) -> tuple[str, ...]:
    """Replace variable parts of related texts with signs. ⟨a1⟩ is the first address in them, ⟨p1⟩ the first process
    (everywhere), ⟨t⟩ a time and ⟨n⟩ a count that depends on it.

    `processes` are known process ids; others are found by their context.
    """
    found = [match[1] or match[2] for text in texts for match in _PROCESS.finditer(text)]
    names = {
        number: f"⟨p{place}⟩" for place, number in enumerate(dict.fromkeys([*map(str, processes), *found]), start=1)
    }
    name_address = _numbered()
    return tuple(_ADDRESS.sub(name_address, _without_processes(_calm(text), names)) for text in texts)


def _calm(text: str) -> str:
    text = _FOREIGN.sub("", text)
    for pattern, sign in _TIMES:
        text = pattern.sub(sign, text)
    return _SILENT.sub("", re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE))


def _without_processes(text: str, names: dict[str, str]) -> str:
    if not names:
        return text
    return re.sub(rf"(?<![\w.:])(?:{'|'.join(names)})(?![\w.:]\w)\b", lambda found: names[found[0]], text)


def _numbered() -> Callable[[re.Match[str]], str]:
    seen: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        return seen.setdefault(found[0].removeprefix("0x"), f"⟨a{len(seen) + 1}⟩")

    return name
