# SPDX-License-Identifier: MIT
"""First and last line of a report in a kernel log, given its title. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from vmlab.klog.call_trace import REGISTERS
from vmlab.klog.log import LogRecord
from vmlab.klog.rules import Deny
from vmlab.klog.titles import CUT_HERE

LONGEST_RECORDS = 160
"""Maximum of lines of a report."""
PROMISE_RECORDS = 8
"""Maximum of lines between "cut here" and the title."""
GAP_RECORDS = 16
"""Maximum of ordinary lines between two lines of a report."""
MESSAGE_RECORDS = 3
"""Maximum of lines from a WARN()'s position down to its message; most architectures print the message above."""
_PAUSE_S = 2.0
"""Maximum pause between a report's lines, in seconds: the serial console took 5 ms per line under TCG."""
_END_MARK = re.compile(r"---\[ end (?:trace|Kernel panic)")
# Rulers above a title have at least 25 signs (lockdep), up to 77 (SLUB). Rulers below a report have 53 (KMSAN), 66
# (KASAN, KFENCE, KCSAN) or 80 (UBSAN before it had "cut here").
_RULER = re.compile(r"={25,}$")
_LAST_RULER = re.compile(r"={53,}$")
# Starts of lines that only a report has; so is a line with a function's offset. Those from "Stack: " on are arm's and
# riscv's (__die() in arch/arm/kernel/traps.c, __show_regs() in arch/riscv/kernel/process.c).
_OF_A_REPORT = re.compile(
    rf"\s|{REGISTERS}|(?P<trace>Call )|CPU: |Modules linked in: |Hardware name: |Tainted: |NMI backtrace |Sending NMI "
    r"|task:|rcu: |Workqueue: |workqueue |pool |FIX |Object |Redzone |Padding |Bytes b4 |kobject: "
    r"|ref_tracker: |leaked reference\."
    r"|Stack: |Exception stack\(|[0-9a-f]{4}: [0-9a-f ]{8}|Process .{1,16} \(pid: |Register r\d|Flags: |Control: "
    r"|status: [0-9a-f]{8}"
)
_TRACE_BEGINS = re.compile(r"\s*(?:Call [Tt]race:|stack backtrace:|CPU: \d+ .*\bPID: \d+ Comm: )")
"""Pattern for the first line of a trace, or the line with the taint above it."""
_OOPS_NUMBER = re.compile(r"\[#\d+\]")
# Lines between a title and its trace: the line with an oops's number, or the WARNING or BUG after the message of a
# check.
_GOES_ON = re.compile(r"\[#\d+\]|^(?:Oops|Internal error|kernel BUG at |WARNING: .*\bat )")


def beginning(texts: Sequence[str], position: int) -> int:
    """Index of the splat's first line, given the index of its title: its "cut here", or the ruler above it."""
    for back in range(position - 1, max(-1, position - 1 - PROMISE_RECORDS), -1):
        if texts[back].startswith(CUT_HERE):
            return back
        if "---" in texts[back] and _END_MARK.search(texts[back]):
            break
    return position - 1 if position and _RULER.match(texts[position - 1]) else position


def has_trace(lines: Sequence[LogRecord], texts: Sequence[str], start: int, titles: Mapping[int, Deny]) -> bool:
    """True if a line that any driver may print has a call trace below it, before another splat starts."""
    if start and texts[start - 1].startswith(CUT_HERE):
        return True
    for position in range(start + 1, min(len(lines), start + 1 + GAP_RECORDS)):
        text = texts[position]
        if lines[position].time_s - lines[position - 1].time_s > _PAUSE_S or text.startswith("sysrq: "):
            return False
        other = _other(titles, start, position)
        if other is not None and other.is_trouble:
            # The oops that follows a BUG has a number.
            return titles[start].kind != "WARNING" and _OOPS_NUMBER.search(text) is not None
        callers = {lines[start].caller, lines[position].caller} - {""}
        if len(callers) < 2 and _TRACE_BEGINS.match(text):
            return True
    return False


def _other(titles: Mapping[int, Deny], start: int, position: int) -> Deny | None:
    """Rule of another title below one at `start`. A user's rule does not cut a splat that vmlab's rules recognize."""
    rule = titles.get(position)
    return None if rule is not None and rule.is_users and not titles[start].is_users else rule


def end_of_report(lines: Sequence[LogRecord], texts: Sequence[str], start: int, titles: Mapping[int, Deny]) -> int:
    """Index after the splat's last line: its end mark, or the last line before another splat, a pause or many ordinary
    lines."""
    is_traced = False
    is_users = titles[start].is_users
    time_s = lines[start].time_s
    end = start + 1
    for position in range(end, min(len(lines), start + LONGEST_RECORDS)):
        text = texts[position]
        if lines[position].time_s - time_s > _PAUSE_S or position - end >= GAP_RECORDS:
            return end
        time_s = lines[position].time_s
        other = _other(titles, start, position)
        if other is not None and other.needs_trace:
            # A line of another process between a splat's lines is not a splat, unless a trace follows it.
            other = other if (is_traced or is_users) and has_trace(lines, texts, position, titles) else None
        if other is not None and other.is_trouble:
            is_message = other.is_message and titles[start].kind == "WARNING" and position - start <= MESSAGE_RECORDS
            is_vmlabs = is_users and not other.is_users
            if is_traced or is_vmlabs or not (is_message or other is titles[start] or _GOES_ON.search(text)):
                return max(start + 1, min(end, beginning(texts, position)))
            end = position + 1
        elif "+0x" in text:
            end = position + 1
        elif (evidence := _OF_A_REPORT.match(text)) is not None:
            is_traced = is_traced or evidence["trace"] is not None
            end = position + 1
        elif "---" in text:
            if _END_MARK.search(text):
                return position + 1
            if is_traced and text.startswith(CUT_HERE):
                return end
        elif text.startswith("===") and _LAST_RULER.match(text):
            return end if position + 1 in titles else position + 1
    return end
