# SPDX-License-Identifier: MIT
"""Parser for kernel logs: the text of /dev/kmsg, which is exact, or of the serial console. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_RECORD = re.compile(
    r"^(?P<prefix>\d{1,9}),(?P<sequence>\d{1,20}),(?P<time_us>\d{1,20}),(?P<flags>[^,;]*)(?P<more>(?:,[^;]*)?);(?P<text>.*)$",
    re.ASCII,
)
_CALLER = re.compile(r",caller=([TC]\d+)")
STAMP = re.compile(r"\[ *(?P<time_s>\d{1,9}\.\d{6})\](?: ?\[ *(?P<caller>[TC]\d+)\])? ?", re.ASCII)
"""Pattern of the kernel's time stamp, with the caller."""
_ESCAPED = re.compile(r"(?:\\x[0-9a-f]{2})+")
_NEAR = 32
"""Maximum of records between a continuation and the start of its line."""
LONGEST_TEXT = 4096
"""Maximum length of a record's text in characters. The kernel's records have at most 1024 bytes (PRINTKRB_RECORD_MAX in
kernel/printk/internal.h); a program may write lines without end to the console, and rules are matched on each."""
_MOST_PAIRS = 16
"""Maximum of dictionary lines of a record: the kernel has two (struct dev_printk_info)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """One record of the kernel log; `level` is 0 (emergency) to 7 (debug)."""

    sequence: int
    level: int
    time_s: float
    text: str
    facility: int = 0
    """Syslog facility: 0 is the kernel, others are programs."""
    is_continuation: bool = False
    """True if it continues the line of the record before it."""
    caller: str = ""
    """Writer: `T` and a thread, or `C` and a processor; only of kernels with CONFIG_PRINTK_CALLER."""
    dictionary: tuple[tuple[str, str], ...] = ()
    """Names and values that drivers add: SUBSYSTEM, DEVICE."""

    def __str__(self) -> str:
        return f"[{self.time_s:12.6f}] {self.text}"


def lost_before(records: Sequence[LogRecord], *, first: int) -> int:
    """Number of records that are missing, from the sequence number `first` to the last record."""
    return records[-1].sequence - first + 1 - len(records) if records else 0


def parse_kmsg(text: str) -> list[LogRecord]:
    """Parse the output of reads of /dev/kmsg. Lines that start with a space are a record's dictionary; other lines that
    are not records belong to the text of the record before. Text and dictionary are limited to what the kernel prints.
    """
    records: list[LogRecord] = []
    texts: list[str] = []
    pairs: list[tuple[str, str]] = []
    match = None
    for line in text.split("\n"):
        following = _RECORD.match(line)
        if following is not None:
            if match is not None:
                records.append(_record(match, texts, pairs))
            match, texts, pairs = following, [_unescape(following["text"][:LONGEST_TEXT])], []
        elif line.startswith(" ") and len(pairs) < _MOST_PAIRS:
            key, _, value = _unescape(line[1:LONGEST_TEXT]).partition("=")
            pairs.append((key, value))
        elif line and not line.startswith(" ") and len(texts) < LONGEST_TEXT:
            texts.append(_unescape(line[:LONGEST_TEXT]))
    if match is not None:
        records.append(_record(match, texts, pairs))
    return records


def _record(match: re.Match[str], texts: Sequence[str], pairs: Sequence[tuple[str, str]]) -> LogRecord:
    prefix = int(match["prefix"])
    caller = _CALLER.search(match["more"]) if match["more"] else None
    return LogRecord(
        sequence=int(match["sequence"]),
        level=prefix & 7,
        time_s=int(match["time_us"]) / 1e6,
        text=_limited("\n".join(texts)),
        facility=prefix >> 3,
        is_continuation="c" in match["flags"],
        caller=caller[1] if caller else "",
        dictionary=tuple(pairs),
    )


def _limited(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… [{len(text) - LONGEST_TEXT} more characters]"


def join_continued(records: Sequence[LogRecord]) -> list[LogRecord]:
    """Join the records of lines that were logged in pieces. A piece belongs to the last line of the same caller, if the
    kernel logs callers, else to the line before."""
    if not any(record.is_continuation for record in records):
        return list(records)
    joined: list[LogRecord] = []
    for record in records:
        near = range(len(joined) - 1, max(-1, len(joined) - 1 - _NEAR), -1) if record.is_continuation else ()
        place = next((i for i in near if joined[i].caller == record.caller), None)
        if place is None:
            joined.append(record)
        elif len(joined[place].text) < LONGEST_TEXT:
            joined[place] = replace(joined[place], text=joined[place].text + record.text)
    return joined


def parse_console(text: str) -> list[LogRecord]:
    """Parse the text of a serial console. It has no levels and no sequence numbers; records are numbered here. Text
    before a line's time stamp, and lines without one, are not from the kernel."""
    records: list[LogRecord] = []
    for line in text.split("\n"):
        for time_s, caller, said in stamped_texts(line):
            records.append(LogRecord(sequence=len(records), level=6, time_s=time_s, text=said, caller=caller))
    return records


def stamped_texts(line: str) -> Iterator[tuple[float, str, str]]:
    """Time, caller and text of each record in a line of a console. A second stamp in a line, if it is not earlier,
    starts another record: the console lost the line break."""
    match = STAMP.search(line)
    while match is not None:
        time_s = float(match["time_s"])
        following = _later_stamp(line, match.end(), time_s)
        end = following.start() if following is not None else len(line)
        yield time_s, match["caller"] or "", _limited(line[match.end() : end].rstrip())
        match = following


def _later_stamp(line: str, start: int, time_s: float) -> re.Match[str] | None:
    if line.find("[", start) < 0:
        return None
    return next((match for match in STAMP.finditer(line, start) if float(match["time_s"]) >= time_s), None)


def _unescape(text: str) -> str:
    if "\\x" not in text:
        return text
    # The kernel escapes each byte, so a multi-byte character is several escapes.
    return _ESCAPED.sub(
        lambda match: bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", errors="backslashreplace"), text
    )
