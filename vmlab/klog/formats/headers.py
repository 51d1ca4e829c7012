# SPDX-License-Identifier: MIT
"""Headers of the lines of a log: time, sender and level as dmesg, journalctl, syslog and the kernel itself print them.

Pure. The times of one log are only compared with each other, so a month or a zone does not matter.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from vmlab.klog.log import STAMP, parse_kmsg

_PRIORITY = r"(?:<(?P<priority>\d{1,3})>)?"
_CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d(?:\.\d{1,9})?)"
_COMMA_CLOCK = _CLOCK.replace(r"(?:\.", "(?:,")
_DATE = r"\d{4}-\d\d-(?P<day>\d\d)"
# journalctl --no-hostname prints none; busybox prints facility and level.
_SENDER = r"(?:[^\s:\[]{1,255} )?(?:\w{1,10}\.\w{1,10} )?(?P<sender>[^\s:\[\]]{1,64})(?:\[[^\]\s]{1,20}\])?: ?"
_CALLER = r"(?: ?\[ *(?P<caller>[TC]\d{1,10})\])?"
_DECODED = r"(?:(?P<facility>[a-z]\w{2,9}) *:\w{3,6} *: )?"
_DELTA = r"(?: <[ \d.]{1,24}>)?"
_TEXT = r"(?P<text>.*)"
_MONOTONIC = re.compile(r"(?P<host>[\w.-]{1,255}) (?P<sender>[^\s:\[\]]{1,64})(?:\[\d{1,10}\])?: ?")
_KMSG = r"(?:[0-9][\w.+~-]{1,127},)?(?P<record>\d{1,9},(?P<sequence>\d{1,20}),\d{1,20},[^;]{0,300};.*)"
_FRAGMENT = re.compile(r",ncfrag=(?P<start>\d{1,9})/\d{1,9}")


# Compiled when first used: a log has one of the formats, and all together take 20 ms.
_compiled = functools.cache(re.compile)


class Parsed(NamedTuple):
    """A line with its header."""

    text: str
    time_s: float = 0.0
    level: int = 6
    is_kernel: bool = True
    """False for a line of a program."""
    caller: str = ""
    is_stamped: bool = False
    """True if the time is the kernel's own: seconds since the boot."""
    continues: bool = False
    """True for a further part of the line before."""


class HeaderParser:
    """A parser that tries first the format of the line before."""

    def __init__(self) -> None:
        self._order = list(_FORMATS)
        self._host = ""
        self._clock_s = 0.0
        self.seen: set[str] = set()
        """Names of the formats that were found."""

    def parse(self, line: str) -> Parsed | None:
        """Parse a line; None if it has no known header. Blanks before the header are ignored."""
        line = line.lstrip() if line[:1].isspace() else line
        for name in self._order:
            match = _compiled(_FORMATS[name]).match(line)
            if match is not None and (parsed := self._read(name, match)) is not None:
                if name != self._order[0]:
                    self._order = [name, *(other for other in self._order if other != name)]
                self.seen.add(name)
                return parsed
        return None

    def _read(self, name: str, match: re.Match[str]) -> Parsed | None:
        if name == "kmsg":
            return _of_kmsg(match)
        found = match.groupdict()
        text = found["text"] or ""
        priority = found.get("priority")
        level, facility = (int(priority) & 7, int(priority) >> 3) if priority else (6, 0)
        if "sender" in found:
            is_kernel = found["sender"] == "kernel"
        else:
            is_kernel = facility == 0 and found.get("facility") in (None, "kern")
        caller = found.get("caller") or ""
        if found.get("time_s") is not None:
            time_s = float(found["time_s"])
            is_stamped = name == "stamp"
            if is_stamped:
                text, is_kernel = self._without_sender(text, is_kernel)
        else:
            time_s, is_stamped = self._time_of(found), False
        if "sender" in found and text.startswith("["):
            stamp = STAMP.match(text)
            if stamp is not None:
                time_s, is_stamped, caller = float(stamp["time_s"]), True, stamp["caller"] or ""
                text = text[stamp.end() :]
        return Parsed(text.rstrip(), time_s, level, is_kernel, caller, is_stamped)

    def _without_sender(self, text: str, is_kernel: bool) -> tuple[str, bool]:
        """Text without the host and sender that journalctl -o short-monotonic prints."""
        if text.startswith("kernel: "):
            return text[8:], is_kernel
        if self._host and not text.startswith(self._host):
            return text, is_kernel
        match = _MONOTONIC.match(text) if self._host or " kernel: " in text[:320] else None
        if match is None or (not self._host and match["sender"] != "kernel"):
            return text, is_kernel
        self._host = f"{match['host']} "
        return text[match.end() :], match["sender"] == "kernel"

    def _time_of(self, found: dict[str, str | None]) -> float:
        """Seconds since an unknown time, from a wall clock or from what passed since the line before."""
        delta, hour = found.get("delta"), found.get("hour")
        if delta:
            self._clock_s += float(delta)
        elif hour:
            day, minute, second = found.get("day") or "0", found.get("minute") or "0", found.get("second") or "0"
            seconds = float(second.replace(",", "."))
            self._clock_s = 86400.0 * int(day) + 3600.0 * int(hour) + 60.0 * int(minute) + seconds
        return self._clock_s


def _of_kmsg(match: re.Match[str]) -> Parsed | None:
    records = parse_kmsg(match["record"])
    if not records:
        return None
    record = records[0]
    # netconsole sends a long line in parts (Documentation/networking/netconsole.rst).
    fragment = _FRAGMENT.search(match["record"].partition(";")[0])
    return Parsed(
        record.text if fragment else record.text.rstrip(),
        record.time_s,
        record.level,
        record.facility == 0,
        record.caller,
        True,
        record.is_continuation or (fragment is not None and fragment["start"] != "0"),
    )


_FORMATS = {
    # The kernel's own, with the level of its console, or decoded by dmesg -x; with dmesg -d the time since the
    # line before; with journalctl -o short-monotonic a host and a sender.
    "stamp": rf"(?:{_PRIORITY}|{_DECODED})\[ *(?P<time_s>\d{{1,9}}\.\d{{6}}){_DELTA}\]{_CALLER} ?{_TEXT}",
    "kmsg": _KMSG,
    "syslog": rf"{_PRIORITY}\S{{1,9}} +(?P<day>\d{{1,2}}) {_CLOCK} {_SENDER}{_TEXT}",
    "syslog of RFC 5424": rf"<(?P<priority>\d{{1,3}})>1 (?:{_DATE}T{_CLOCK}\S{{0,6}}|-) \S{{1,255}} "
    rf"(?P<sender>\S{{1,64}}) \S{{1,128}} \S{{1,64}} (?:-|(?:\[(?:[^\]\\]|\\.){{0,2000}}\]){{1,20}})"
    rf"(?: \ufeff?{_TEXT}|$)",
    "ISO time": rf"{_PRIORITY}{_DATE}T{_CLOCK}(?:Z|[+-]\d\d:?\d\d) {_SENDER}{_TEXT}",
    "full date": rf"\S{{2,9}} {_DATE} {_CLOCK} \S{{1,6}} {_SENDER}{_TEXT}",
    "Unix time": rf"(?P<time_s>\d{{9,11}}\.\d{{3,6}}) {_SENDER}{_TEXT}",
    "logread": rf"\w{{3}} \w{{3}} +(?P<day>\d{{1,2}}) {_CLOCK} \d{{4}} \w{{2,10}}\.\w{{3,10}} "
    rf"(?P<sender>[^\s:\[\]]{{1,64}})(?:\[\d{{1,10}}\])?: ?{_TEXT}",
    "dmesg -T": rf"{_DECODED}\[\w{{3}} \w{{3}} +(?P<day>\d{{1,2}}) {_CLOCK} \d{{4}}{_DELTA}\]"
    rf"{_CALLER} (?!\[(?:error|warn|notice|info|crit)\]){_TEXT}",
    "dmesg --time-format iso": rf"{_DECODED}{_DATE}T{_COMMA_CLOCK}[+-]\d\d:?\d\d{_CALLER} {_TEXT}",
    "dmesg -H": rf"{_DECODED}\[(?: *\+(?P<delta>\d{{1,6}}\.\d{{6}})|\w{{3}} ?(?P<day>\d{{1,2}}) "
    rf"(?P<hour>\d\d):(?P<minute>\d\d))\]{_CALLER} {_TEXT}",
    "level": r"<(?P<priority>\d{1,3})>(?P<text>.*)",
}
