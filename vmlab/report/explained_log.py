# SPDX-License-Identifier: MIT
"""Output of `vmlab log`: an explained kernel log as text."""

from __future__ import annotations

from collections.abc import Iterator

from vmlab.klog.call_trace import Frame
from vmlab.klog.explained import ExplainedLog, ExplainedReport
from vmlab.system.output import say

_MOST_FRAMES = 16
_MOST_REPORTS = 20


def print_log(log: ExplainedLog) -> None:
    """Print the reports of a log, its facts, and what was not read."""
    say("\n".join(_lines(log)))


def _lines(log: ExplainedLog) -> Iterator[str]:
    total = sum(report.count for report in log.reports)
    found = f"{total} kernel report{'' if total == 1 else 's'}" if total else "no kernel report"
    different = f", {len(log.reports)} different" if total > len(log.reports) > 1 else ""
    yield f"{found}{different} in {log.kernel_lines} lines of the kernel"
    for number, report in enumerate(log.reports[:_MOST_REPORTS], 1):
        yield ""
        yield from _report(number, report)
    if len(log.reports) > _MOST_REPORTS:
        yield ""
        yield f"… and {len(log.reports) - _MOST_REPORTS} more different reports: --json has all"
    if log.facts:
        yield ""
    for fact in log.facts:
        yield f"no trouble: {fact.title} ({fact.kind}, line {fact.line}{_times(fact.count)})"
    for note in log.notes:
        yield f"note: {note}"
    if log.program_lines:
        yield f"left out: {log.program_lines} lines of programs"
    if log.other_lines:
        yield f"left out: {log.other_lines} lines without the header that the kernel's lines have"


def _report(number: int, report: ExplainedReport) -> Iterator[str]:
    yield f"{number}. {report.kind} in {_whom(report)}{_times(report.count)}"
    yield f"   {report.title}"
    place = f"line {report.first_line}"
    if report.last_line != report.first_line:
        place = f"lines {report.first_line} to {report.last_line}"
    facts = [
        place,
        f"at {report.time_s:.6f} s" if report.time_s is not None else "",
        f"process {report.process}" if report.process else "",
        f"kernel {report.release}" if report.release else "",
        f"printed at {report.location}" if report.location else "",
        f"fingerprint {report.fingerprint}",
    ]
    yield f"   {'; '.join(filter(None, facts))}"
    if report.allowed:
        yield f"   allowed: {report.allowed}"
    certain = [frame for frame in report.frames if not frame.is_guess] or list(report.frames)
    for frame in certain[:_MOST_FRAMES]:
        yield f"     {frame}"
        yield from _inlined(frame)
    if len(certain) > _MOST_FRAMES:
        yield f"     … {len(certain) - _MOST_FRAMES} more frames"
    for consequence in report.consequences:
        yield f"   then: {consequence.title} ({consequence.kind}, line {consequence.line})"


def _whom(report: ExplainedReport) -> str:
    """Module and function to blame, and the line."""
    whom = f"module {report.module}" if report.module else "the kernel, no module is in the trace"
    function = f", {report.function}()" if report.function else ""
    return f"{whom}{function}{f' at {report.source}' if report.source else ''}"


def _inlined(frame: Frame) -> Iterator[str]:
    if len(frame.lines) > 1:
        yield from (f"       {line.function or 'inlined'}  {line}" for line in frame.lines)


def _times(count: int) -> str:
    return f", {count} times" if count > 1 else ""
