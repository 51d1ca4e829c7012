# SPDX-License-Identifier: MIT
"""Takes out of what was typed and printed whatever is another each time, and shows that it did."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_TIMES = (
    # Colours, for a terminal.
    (re.compile(r"\x1b\[[\d;]*[A-Za-z]"), ""),
    # The kernel log's.
    (re.compile(r"^(<\d+>)?\[ *\d+\.\d{6}\]", re.MULTILINE), r"\1[⟨t⟩]"),
    # The function graph's column of durations, with its marks for long ones.
    (re.compile(r"^( *\d+\))[ $@*#!+]* *(?:[\d.]+ us)? +\|", re.MULTILINE), r"\1  |"),
    # As ls prints when a file was changed, and journalctl when a line came.
    (re.compile(rf"\b(?:{_MONTH}) [ \d]\d (?:\d\d:\d\d(?::\d\d)?| \d{{4}})(?!\d)"), "⟨t⟩"),
    # perf stat's: what it measured, and what it works out of that.
    (re.compile(r"\b\d[\d.,]*(?= (?:seconds (?:time elapsed|user|sys)|msec))"), "⟨t⟩"),
    (re.compile(r"(#\s+)\d[\d.,]*(?= +(?:CPUs utilized|[KMG]?/sec|[KMG]Hz))"), r"\1⟨n⟩"),
    (re.compile(r"^( +)\d[\d,]*(?= +(?:context-switches|cpu-migrations|page-faults|dummy)\b)", re.MULTILINE), r"\1⟨n⟩"),
    # perf record's, perf top's, and uniq -c of perf script's.
    (re.compile(r"\(\d+(?= samples\))"), "(⟨n⟩"),
    (re.compile(r"(?<=Woken up )\d+(?= times)|(?<=wrote )\d+\.\d+(?= MB)|\b\d+\.\d+(?=%)"), "⟨n⟩"),
    (re.compile(r"^( +)\d+(?= {2,}seq\b)", re.MULTILINE), r"\1⟨n⟩"),
    # A program that a test brought with it goes by its digest.
    (re.compile(r"\bbusy-[0-9a-f]{20}\b"), "busy"),
    # Where in a function: another in every build, and so no difference between releases.
    (re.compile(r"(?<=\w)\+0x[0-9a-f]+/0x[0-9a-f]+"), ""),
    # The machine's own id, in the paths of the journal.
    (re.compile(r"\b[0-9a-f]{32}\b"), "⟨id⟩"),
)
_FOREIGN = re.compile(
    r"^(?:vmlab: .* (?:begins|ends) [0-9a-f]{8}|hrtimer: interrupt took \d+ ns|vmlab-\S*)\n?", re.MULTILINE
)
"""Lines in the kernel log that no experiment made: the lab's own marks, and a slow host's."""
_SILENT = re.compile(r"(?<=\n)\n(?=[#$] )")
"""Under a command that printed nothing, before the next."""
# The kernel's on both architectures, and what strace shows of a process's own. One of zeros hides another and stays.
_ADDRESS = re.compile(r"\b(?:0x)?ffff[0-9a-f]{12}\b|\b0x(?:7f|5[56])[0-9a-f]{10}\b")
# A number is a process's where something says so; then it is wherever it stands. Small ones are the kernel's own.
_PROCESS = re.compile(
    r"(?:/proc/|/task/|\bkill -\w+ |\b(?:pid|thread|process)[ :=]+| -[pt] )(\d{3,7})(?=[/\s),;:]|$)"
    r"|\w \((\d{3,7})(?=\):)"
)


def steady(*texts: str, processes: Iterable[int] = ()) -> tuple[str, ...]:
    """The same texts, which belong together, with a sign for what changes: ⟨a1⟩ for the first address in them, ⟨p1⟩ for
    the first process, wherever it stands, ⟨t⟩ for a time and ⟨n⟩ for a count that hangs on it.

    `processes` are ids that are known to be such; others are found by what stands around them.
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
