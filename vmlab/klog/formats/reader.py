# SPDX-License-Identifier: MIT
"""Reader for a kernel log in any known format, in parts: memory does not grow with the log."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vmlab.klog.formats.entries import EntryParser
from vmlab.klog.formats.headers import HeaderParser, Parsed
from vmlab.klog.formats.pstore import Numbered, in_order
from vmlab.klog.formats.style import Style, printable_decoded, style_of, unquoted
from vmlab.klog.log import LONGEST_TEXT, STAMP, LogRecord, stamped_texts

_BATCH_LINES = 10_000
_LONGEST_WRAPPED = 82
"""Maximum length of the lines of a mail that a program has wrapped."""
_SHORTEST_WRAPPED = 60
"""Minimum length of a wrapped line, with the word that did not fit."""
# Lines that only a kernel prints: a text without headers is a log if it has one.
_OF_A_KERNEL = re.compile(
    r"Linux version \d|Command line: |Kernel command line: |BIOS-e820: |Modules linked in: |Call [Tt]race:"
    r"|CPU: \d+ (?:UID: \d+ )?PID: \d+ Comm: |(?:RIP|EIP|pc |epc ?): |\s{0,8}(?:\? )?[\w.]{1,200}\+0x[0-9a-f]{1,8}/0x"
    r"|usb \d+-[\d.]+: |pci \d{4}:|ACPI: |EXT4-fs \(|audit: type=|random: crng|input: .* as /devices/"
    r"|\w{1,64}: loading out-of-tree module|rcu: |NET: Registered |clocksource: "
)
_MODULES = re.compile(
    r"(?:[\w-]{1,64}(?:\([A-Z+-]{1,8}\))?(?: |$))*(?:\[last unloaded:.*|[\w-]{1,64}(?:\([A-Z+-]{1,8}\))?\]?)$"
)


class LogReader:
    """Records of a log, and counts of its lines. A record's sequence number is the number of its line."""

    def __init__(self, parts: Iterable[list[str]]) -> None:
        self._parts = parts
        self._style = Style()
        self._headers = HeaderParser()
        self._batch: list[LogRecord] = []
        self._before = 0
        """Length of the line before, if that may go on in the next line."""
        self._longest = 0
        self.lines = 0
        """Number of all lines."""
        self.kernel_lines = 0
        self.program_lines = 0
        self.other_lines = 0
        """Number of lines without a header in a log whose lines have headers."""
        self.is_stamped = False
        """True if records have the kernel's own time."""
        self.is_log = False
        """True if a line was found that only a kernel prints."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats that were found."""
        others = {"fields": self._style.has_entries, "pstore": self._style.is_pstore, "quoted": self._style.is_quoted}
        return (*sorted(self._headers.seen), *(name for name, is_there in others.items() if is_there))

    def records(self) -> Iterator[list[LogRecord]]:
        """Yield the kernel's records in parts; those of programs are only counted."""
        entries = EntryParser()
        for lines in self._batches():
            self._batch = []
            self._before = 0
            for number, line in lines:
                if self._style.has_entries:
                    for place, parsed in entries.parse(number, unquoted(line) if self._style.is_quoted else line):
                        self._add(place, parsed)
                    continue
                for piece in line.split("\r") if "\r" in line else (line,):
                    self._read(number, piece)
            yield self._batch
        self._batch = []
        for place, parsed in entries.end():
            self._add(place, parsed)
        yield self._batch

    def _batches(self) -> Iterator[Iterable[Numbered]]:
        parts = self._numbered()
        first = next(parts, [])
        every = itertools.chain([first], parts)
        self._style = style_of([line for _, line in first])
        if not (self._style.is_pstore or self._style.is_quoted_printable):
            yield from every
            return
        lines: Iterable[Numbered] = itertools.chain.from_iterable(every)
        if self._style.is_quoted_printable:
            lines = printable_decoded(lines)
        if self._style.is_pstore:
            is_quoted = self._style.is_quoted
            lines = in_order((number, unquoted(line) if is_quoted else line) for number, line in lines)
        lines = iter(lines)
        while batch := list(itertools.islice(lines, _BATCH_LINES)):
            if not self._style.is_headed:
                self._style = replace(self._style, is_headed=style_of([line for _, line in batch]).is_headed)
            yield batch

    def _numbered(self) -> Iterator[list[Numbered]]:
        for part in self._parts:
            start = self.lines + 1
            self.lines += len(part)
            if not (self._style.is_headed or self._style.has_entries) and start > 1:
                # A console may begin with the output of a boot loader.
                self._style = replace(self._style, is_headed=style_of(part).is_headed)
            yield list(enumerate(part, start))

    def _read(self, number: int, line: str) -> None:
        if self._style.is_quoted and line.startswith(">"):
            line = unquoted(line)
        length = len(line)
        if not self._style.is_headed:
            self._add_bare(number, line)
            return
        parsed = self._headers.parse(line)
        if parsed is not None:
            self._longest = max(self._longest, length)
            self._before = length
            if parsed.is_stamped and "[" in parsed.text and STAMP.search(parsed.text) is not None:
                self._add_stamped(number, line)
            else:
                self._add(number, parsed)
        elif "[" in line and STAMP.search(line) is not None:
            self._add_stamped(number, line)
        elif self._is_wrapped(line):
            self._append(f" {line.strip()}")
            self._before = length
        elif line.strip() and not (line.startswith(" ") and "kmsg" in self._headers.seen):
            self.other_lines += 1
            self._before = 0

    def _is_wrapped(self, line: str) -> bool:
        """True for the rest of a line that a mail program has wrapped."""
        if not (self._before and self._batch and self._longest <= _LONGEST_WRAPPED):
            return False
        word = line.split(maxsplit=1)
        return bool(word) and self._before + len(word[0]) >= _SHORTEST_WRAPPED

    def _add(self, number: int, parsed: Parsed) -> None:
        if not parsed.is_kernel:
            self.program_lines += 1
            self._before = 0
            return
        self.is_log = True
        self.is_stamped = self.is_stamped or parsed.is_stamped
        if parsed.continues and self._batch:
            self._append(parsed.text)
            return
        self.kernel_lines += 1
        self._batch.append(
            LogRecord(
                sequence=number,
                level=parsed.level,
                time_s=parsed.time_s,
                text=parsed.text[:LONGEST_TEXT],
                caller=parsed.caller,
            )
        )

    def _add_stamped(self, number: int, line: str) -> None:
        """Add the records of a line of a console: there may be text before the time stamp, or a second one."""
        for time_s, caller, text in stamped_texts(line):
            self._add(number, Parsed(text, time_s, caller=caller, is_stamped=True))
        self._before = 0

    def _add_bare(self, number: int, line: str) -> None:
        """Add a line of a log without headers."""
        indent = self._style.indent
        text = (line[indent:] if indent and not line[:indent].strip() else line).rstrip()[:LONGEST_TEXT]
        last = self._batch[-1].text if self._batch else ""
        if not (text or last):
            return
        if last.startswith("Modules linked in: ") and len(last) < LONGEST_TEXT and _MODULES.match(text):
            self._append(f" {text}")
            return
        self.is_log = self.is_log or _OF_A_KERNEL.match(text) is not None
        self.kernel_lines += bool(text)
        self._batch.append(LogRecord(sequence=number, level=6, time_s=0.0, text=text))

    def _append(self, text: str) -> None:
        last = self._batch[-1]
        if len(last.text) < LONGEST_TEXT:
            self._batch[-1] = replace(last, text=last.text + text[:LONGEST_TEXT])
