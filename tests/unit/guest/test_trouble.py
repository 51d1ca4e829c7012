# SPDX-License-Identifier: MIT
"""The error of a command that hung: its statement first, then what the kernel reported about the stall."""

from __future__ import annotations

import dataclasses

from vmlab.errors import CommandHung, KernelTrouble
from vmlab.guest.trouble import as_error, shown
from vmlab.klog.call_trace import Frame, Line
from vmlab.klog.log import LogRecord
from vmlab.klog.splat import Splat

_TITLE = "watchdog: BUG: soft lockup - CPU#1 stuck for {}s! [insmod:412]"
_INIT = Frame(
    function="answer_init", offset=7, size=16, module="answer", lines=(Line(file="answer.c", line=42, is_own=True),)
)


def _stall(seconds: int) -> Splat:
    title = _TITLE.format(seconds)
    record = LogRecord(sequence=seconds, level=0, time_s=seconds, text=title)
    return Splat(kind="soft lockup", title=title, records=(record,), frames=(_INIT,))


def _hung() -> CommandHung:
    return CommandHung("'insmod answer.ko' took longer than 240 s; the guest still answers", detail="probes: sysrq w")


def test_a_hang_that_the_kernel_reported_too_begins_with_the_command() -> None:
    error = as_error("kernel: soft lockup (and 1 more)", [_stall(22), _stall(48)], _hung())

    first, *rest = str(error).splitlines()
    assert first == "'insmod answer.ko' took longer than 240 s; the guest still answers at answer.c:42"
    assert rest[0] == "kernel: soft lockup (and 1 more)"
    assert rest[-1] == "probes: sysrq w"
    assert isinstance(error, KernelTrouble)
    assert error.source == "answer.c:42"


def test_a_stall_is_shown_once_however_often_the_kernel_repeats_it() -> None:
    text = shown([_stall(seconds) for seconds in (22, 48, 74)])

    assert text.count("soft lockup") == 1
    assert text.endswith("… and 2 more reports of the stall")


def test_a_report_that_is_no_stall_stays_before_the_hang() -> None:
    record = LogRecord(sequence=1, level=0, time_s=1, text="BUG: kernel NULL pointer dereference")
    oops = Splat(kind="null pointer", title=record.text, records=(record,))

    error = as_error("kernel: BUG: kernel NULL pointer dereference", [oops, _stall(22)], _hung())

    assert error.message.startswith("kernel: BUG: kernel NULL pointer dereference")


def test_other_reports_are_all_shown() -> None:
    warnings = [dataclasses.replace(_stall(seconds), kind="WARNING") for seconds in (1, 2)]

    assert shown([*warnings, _stall(22)]).count("soft lockup") == 3
