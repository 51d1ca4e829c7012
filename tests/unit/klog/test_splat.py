# SPDX-License-Identifier: MIT
"""Splats are found in the formats of every release, and harmless lines are ignored."""

from __future__ import annotations

import pytest

from vmlab.klog.log import LogRecord
from vmlab.klog.splat import describe, find_splats


def _log(*texts: str, step_s: float = 0.001) -> list[LogRecord]:
    return [
        LogRecord(sequence=number, level=4, time_s=10 + number * step_s, text=text) for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("WARNING: CPU: 0 PID: 94 at mm/page_alloc.c:5634 f+0x1b/0x40 [fibdrv]", "WARNING"),
        ("WARNING: mm/page_alloc.c:5363 at f+0x1b/0x40 [fibdrv], CPU#0: probe/107", "WARNING"),
        ("WARNING: possible circular locking dependency detected", "lockdep"),
        ("BUG: kernel NULL pointer dereference, address: 0000000000000000", "null pointer"),
        ("BUG: unable to handle page fault for address: ffffc90000abc000", "page fault"),
        ("BUG: unable to handle kernel paging request at ffffc90000abc000", "page fault"),
        ("Oops: 0002 [#1] SMP PTI", "oops"),
        ("Oops: Oops: 0002 [#1] SMP PTI", "oops"),
        ("Oops: general protection fault, probably for non-canonical address 0xdead000000000100", "general protection"),
        (
            "general protection fault, probably for non-canonical address 0xdead000000000100: 0000 [#1]",
            "general protection",
        ),
        ("invalid opcode: 0000 [#1] PREEMPT SMP NOPTI", "invalid opcode"),
        ("divide error: 0000 [#1] SMP", "divide error"),
        ("kernel BUG at mm/slub.c:305!", "BUG"),
        ("BUG: Bad page state in process insmod  pfn:1234", "bad page"),
        ("BUG: KASAN: slab-out-of-bounds in fib_read+0x1b/0x40 [fibdrv]", "KASAN"),
        ("BUG: scheduling while atomic: probe/107/0x00000002", "scheduling while atomic"),
        ("BUG: sleeping function called from invalid context at mm/slab.h:494", "sleeping in atomic"),
        ("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [probe:107]", "soft lockup"),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", "RCU stall"),
        ("rcu: INFO: rcu_sched detected stalls on CPUs/tasks:", "RCU stall"),
        ("INFO: task insmod:107 blocked for more than 120 seconds.", "hung task"),
        ("UBSAN: array-index-out-of-bounds in bn.c:10:5", "UBSAN"),
        ("refcount_t: underflow; use-after-free.", "refcount"),
        ("list_add corruption. prev->next should be next", "list corruption"),
        ("Kernel panic - not syncing: Fatal exception", "panic"),
        ("Kernel panic - not syncing: stack-protector: Kernel stack is corrupted in: f+0x1/0x2", "stack corruption"),
        ("do_init_module: 'fibdrv'->init suspiciously returned 5, it should follow 0/-E convention", "bad init"),
        ("fibdrv->init suspiciously returned 5", "bad init"),
    ],
)
def test_trouble_is_found_and_named(line: str, kind: str) -> None:
    (splat,) = find_splats(_log("innocent", line, "another"))
    assert splat.kind == kind
    assert splat.title == line


@pytest.mark.parametrize(
    "line",
    [
        "fibdrv: loading out-of-tree module taints kernel.",
        "fibdrv: module verification failed: signature and/or required key missing - tainting kernel",
        "Warning: unable to open an initial console.",
        "systemd[1]: WARNING: something of user space",
        "fibdrv: no BUG: here",
        "rcu: RCU calculated value of scheduler-enlistment delay is 25 jiffies.",
        "rcu: \tOffload RCU callbacks from CPUs: (none).",
        "DMA-API: debugging enabled; no oops",
        "Oopsie daisy",
        "panic=0 on the command line: Kernel command line: panic=0",
        "kauditd: debug: list_add",
        "INFO: this is fine",
        "",
    ],
)
def test_innocent_lines_are_left_alone(line: str) -> None:
    assert find_splats(_log(line)) == []


def test_a_report_goes_to_its_end_mark_and_holds_what_is_inside() -> None:
    log = _log(
        "before",
        "BUG: kernel NULL pointer dereference, address: 0000000000000000",
        "#PF: supervisor write access in kernel mode",
        "Oops: 0002 [#1] SMP PTI",
        "Call Trace:",
        "---[ end trace 0000000000000000 ]---",
        "after",
    )
    (splat,) = find_splats(log)
    assert splat.kind == "null pointer"
    assert list(splat.records) == log[1:6]
    assert "Call Trace:" in describe([splat])
    assert "after" not in describe([splat])


def test_two_reports_are_two() -> None:
    end = "---[ end trace 0000000000000000 ]---"
    log = _log(
        "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2", end, "quiet", "WARNING: CPU: 0 PID: 1 at b.c:2 g+0x1/0x2", end
    )
    assert [splat.title.split()[6] for splat in find_splats(log)] == ["a.c:1", "b.c:2"]


def test_a_report_without_an_end_mark_ends_with_a_pause() -> None:
    log = [*_log("BUG: scheduling while atomic: probe/107/0x2", "Call Trace:")]
    later = LogRecord(sequence=9, level=6, time_s=log[-1].time_s + 5, text="fibdrv: unloaded")
    (splat,) = find_splats([*log, later])
    assert list(splat.records) == log


def test_a_report_without_end_or_pause_is_cut() -> None:
    (splat,) = find_splats(_log("INFO: task x:1 blocked for more than 120 seconds.", *["line"] * 500))
    assert len(splat.records) < 200


def test_the_first_line_decides_about_a_record_of_several() -> None:
    assert find_splats(_log("a module says:\nWARNING: not the kernel's")) == []
    (splat,) = find_splats(_log("WARNING: CPU: 0 PID: 1 at a.c:1\nmore"))
    assert splat.title == "WARNING: CPU: 0 PID: 1 at a.c:1"
