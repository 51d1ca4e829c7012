# SPDX-License-Identifier: MIT
"""Drivers and programs print the first words of reports too: a real report has a place, a number or a trace."""

from __future__ import annotations

import pytest

from vmlab.klog.log import LogRecord, parse_console, parse_kmsg
from vmlab.klog.splat import find_splats

_TRACE = (
    "CPU: 1 PID: 831 Comm: feeder Not tainted 6.1.0-lab #1",
    "Call Trace:",
    " <TASK>",
    " dump_stack_lvl+0x44/0x5c",
    " gauge_read+0x4a/0xb0 [gauge]",
    " vfs_read+0xb4/0x320",
    " </TASK>",
)
_NOISE = (
    "systemd-journald[201]: Received client request to flush runtime journal.",
    "EXT4-fs (vda1): re-mounted. Quota mode: none.",
    "eth0: link is up",
)


def _log(*texts: str, caller: str = "") -> list[LogRecord]:
    return [
        LogRecord(sequence=number, level=4, time_s=10 + number / 1000, text=text, caller=caller)
        for number, text in enumerate(texts)
    ]


_WORDS = [
    "WARNING: the mand mount option is being deprecated and",
    "WARNING: fbcon: Driver 'bochsdrmfb' missed to adjust virtual screen size (0x0 vs. 640x480)",
    "WARNING: /etc/ssh/moduli does not exist, using fixed modulus",
    "WARNING: Unable to read sframe header. Disabling unwinder.",
    "WARNING: at least one sensor is missing",
    "WARNING: gauge: level is at 12:30 today",
    "WARNING: chip at 0x48 does not answer",
    "WARNING: blocks are written out of order",
    "WARNING: possible loss of data",
    "WARNING: held back 3 frames",
    "WARNING: ",
    "WARNING: CPU: all are busy",
    "BUG: idx 42 already had data!",
    "BUG: 3 out of 7 tests failed",
    "BUG: sensor A and B disagree",
    "BUG: ",
    "Oops: wrong number",
    "Internal error: the queue is empty",
    "double fault: sensors A and B",
    "divide error: 12 of 100 divisions were refused",
    "invalid opcode: 0x7f in firmware",
    "Unable to handle kernel request 5",
    "refcount_t: is what gauge counts with",
    "usercopy: nothing to copy",
    "UBSAN: is not built in",
    "slab gauge is corrupt",
    "list_add tail",
    "INFO: task list is empty, blocked for more than it takes",
    "gauge has panicked at last",
    "unregister_netdevice: waiting for eth0",
]


@pytest.mark.parametrize("line", _WORDS)
def test_a_word_alone_is_no_report(line: str) -> None:
    assert find_splats(_log("before", line, *_NOISE)) == []


@pytest.mark.parametrize(
    "line", [line for line in _WORDS if not line.startswith(("list_add", "INFO: ", "gauge ", "unregister_"))]
)
def test_a_word_with_a_trace_below_it_is_a_report(line: str) -> None:
    (splat,) = find_splats(_log("before", line, *_TRACE, "after"))
    assert splat.title == line.strip()
    assert splat.module == "gauge"


@pytest.mark.parametrize(
    "title",
    [
        "WARNING: CPU: 1 PID: 831 at drivers/misc/gauge.c:64 gauge_read+0x4a/0xb0 [gauge]",
        "WARNING: CPU: 1 PID: 831 at gauge_read+0x4a/0xb0 [gauge]",
        "WARNING: CPU: 1 PID: 831 at 0xffffffffc0a7304a",
        "WARNING: CPU: 1 PID: 831 at [i > 5] drivers/misc/gauge.c:64 gauge_read+0x4a/0xb0 [gauge]",
        "WARNING: at drivers/misc/gauge.c:64 gauge_read+0x4a/0xb0()",
        "WARNING: at gauge_read+0x4a/0xb0 [gauge], CPU#1: feeder/831",
        "WARNING: drivers/misc/gauge.c:64 at gauge_read+0x4a/0xb0 [gauge], CPU#1: feeder/831",
        'WARNING: [i[3] > 5 && "a: b"] drivers/misc/gauge.c:64 at gauge_read+0x4a/0xb0 [gauge], CPU#1: feeder/831',
        "WARNING: gauge.rs:64 at gauge_read+0x4a/0xb0 [gauge], CPU#1: feeder/831",
        "WARNING: gauge.c:64 at 0xffffffffc0a7304a, CPU#1: feeder/831",
        "WARNING: CPU: 1 PID: 831 at drivers/mi",
    ],
)
def test_a_warning_with_a_place_is_a_report_without_any_trace_or_taint(title: str) -> None:
    (splat,) = find_splats(_log("before", title, *_NOISE))
    assert (splat.kind, splat.title) == ("WARNING", title)


@pytest.mark.parametrize(
    "title",
    [
        "WARNING: possible circular locking dependency detected",
        "WARNING: possible recursive locking detected",
        "WARNING: possible irq lock inversion dependency detected",
        "WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected",
        "WARNING: inconsistent lock state",
        "WARNING: bad unlock balance detected!",
        "WARNING: bad contention detected!",
        "WARNING: held lock freed!",
        "WARNING: feeder/831 still has locks held!",
        "WARNING: lock held when returning to user space!",
        "WARNING: suspicious RCU usage",
        "WARNING: Nested lock was not taken",
        "BUG: MAX_LOCKDEP_ENTRIES too low!",
    ],
)
def test_lockdeps_own_titles_are_reports(title: str) -> None:
    assert [splat.kind for splat in find_splats(_log("before", title, "after"))] == ["lockdep"]


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("divide_error: 0000 [#1] SMP KASAN PTI", "divide error"),
        ("BUG: unable to handle kernel NULL pointer dereference at 0000000000000018", "null pointer"),
        ("NMI watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [feeder:831]", "soft lockup"),
        ("UBSAN: Undefined behaviour in drivers/misc/gauge.c:91:14", "UBSAN"),
        ("UBSAN: array index out of bounds at gauge_read+0x4a/0xb0 [gauge]", "UBSAN"),
        ("Internal error: UBSAN: array index out of bounds: 00000000f2005512 [#1] SMP", "UBSAN"),
        ("Bad or missing usercopy whitelist? Kernel memory exposure attempt detected from SLUB object 'g'", "usercopy"),
        ("usercopy: kernel memory overwrite attempt detected to ffff888103a1c0d0 (kmalloc-64) (100 bytes)", "usercopy"),
        (
            "slab error in cache_free_debugcheck(): cache `kmalloc-64': double free, or memory outside",
            "slab corruption",
        ),
        ("Slab corruption (Not tainted): kmalloc-64 start=ffff888103a1c0d0, len=64", "slab corruption"),
        ("unregister_netdevice: waiting for gauge0 to become free. Usage count = 1", "leaked reference"),
        ("BUG: spinlock bad magic on CPU#1, feeder/831", "BUG"),
        ("Kernel BUG [#1]", "BUG"),
        ("Oops [#1]", "oops"),
        ("Oops - illegal instruction [#1]", "oops"),
        ("BUG: using smp_processor_id() in preemptible [00000000] code: feeder/831", "BUG"),
        ("BUG: non-zero pgtables_bytes on freeing mm: 4096", "BUG"),
        ("BUG: Dentry ffff888103a1c0d0{i=2,n=a}  still in use (1) [unmount of tmpfs tmpfs]", "BUG"),
        ("rust_kernel: panicked at 'called `Option::unwrap()` on a `None` value', gauge.rs:86:54", "Rust panic"),
        ("refcount_t: increment on 0; use-after-free.", "refcount"),
        ("refcount_t: decrement hit 0; leaking memory.", "refcount"),
    ],
)
def test_the_spellings_of_other_releases_are_known(title: str, kind: str) -> None:
    assert [(splat.kind, splat.title) for splat in find_splats(_log("before", title, "after"))] == [(kind, title)]


def test_a_driver_that_warns_before_a_report_is_not_blamed_for_it() -> None:
    report = ("BUG: kernel NULL pointer dereference, address: 0000000000000018", "Oops: 0000 [#1] SMP", *_TRACE)
    (splat,) = find_splats(_log("WARNING: gauge: level is odd", "BUG: gauge is odd", *_NOISE, *report))
    assert splat.kind == "null pointer"


def test_an_oops_belongs_to_the_bug_that_it_tells_of() -> None:
    (splat,) = find_splats(_log("BUG: gauge has no such message yet", "Oops: 0000 [#1] SMP", *_TRACE))
    assert splat.title == "BUG: gauge has no such message yet"


def test_words_in_the_middle_of_a_report_do_not_end_it() -> None:
    title = "BUG: KASAN: slab-out-of-bounds in gauge_read+0x4a/0xb0 [gauge]"
    log = _log(title, "WARNING: the mand mount option is being deprecated and", *_TRACE[:4], "BUG: no", *_TRACE[4:])
    (splat,) = find_splats(log)
    assert splat.title == title
    assert splat.records[-2:] == (log[-2], log[-1])


def test_a_report_after_another_without_an_end_mark_is_not_swallowed() -> None:
    first, second = find_splats(
        _log("BUG: scheduling while atomic: feeder/831/0x2", *_TRACE, "WARNING: gauge has a trace of its own", *_TRACE)
    )
    assert (first.kind, second.title) == ("scheduling while atomic", "WARNING: gauge has a trace of its own")


def test_a_trace_after_some_lines_of_other_processes_is_the_reports() -> None:
    log = _log("WARNING: gauge is stuck", *_NOISE, *_NOISE, *_TRACE)
    (splat,) = find_splats(log)
    assert splat.module == "gauge"
    assert splat.records[-1] == log[-1]


@pytest.mark.parametrize("above", [(), ("------------[ cut here ]------------",)])
def test_a_report_that_is_cut_off_above_its_trace_is_found(above: tuple[str, ...]) -> None:
    below = () if above else ("Modules linked in: gauge(OE)", _TRACE[0].replace("Not tainted", "Tainted: G        W"))
    (splat,) = find_splats(_log("before", *above, "WARNING: CPU: 1 PI", *below))
    assert splat.kind == "WARNING"


def test_another_callers_trace_is_not_the_reports() -> None:
    words = _log("WARNING: gauge is stuck", caller="T100")
    trace = [
        LogRecord(sequence=5 + number, level=4, time_s=10.01, text=text, caller="C1")
        for number, text in enumerate(_TRACE)
    ]
    assert find_splats([*words, *trace]) == []


def test_a_trace_that_somebody_asked_for_is_not_a_drivers() -> None:
    assert find_splats(_log("WARNING: gauge is stuck", "sysrq: Show backtrace of all active CPUs", *_TRACE)) == []


def test_a_trace_after_a_pause_is_not_a_drivers() -> None:
    late = [LogRecord(sequence=9 + number, level=4, time_s=20, text=text) for number, text in enumerate(_TRACE)]
    assert find_splats([*_log("WARNING: gauge is stuck"), *late]) == []


@pytest.mark.parametrize("caller", ["", "[  T831]", "[    C1]"])
@pytest.mark.parametrize("before", ["mounting /srv", "[   12.000000] gauge: loading", "debian login: "])
def test_a_report_in_the_middle_of_a_consoles_line_is_found(before: str, caller: str) -> None:
    title = "WARNING: CPU: 1 PID: 831 at drivers/misc/gauge.c:64 gauge_read+0x4a/0xb0 [gauge]"
    (splat,) = find_splats(parse_console(f"{before}[   12.345678]{caller} {title}\n[   12.345700]{caller} ok\n"))
    assert (splat.title, splat.time_s) == (title, 12.345678)


def test_a_leaked_reference_is_one_fault_however_often_the_kernel_repeats_it() -> None:
    lines = [
        f"4,{number},{number * 10_000_000},-;unregister_netdevice: waiting for {name} to become free. Usage count = {n}"
        for number, (name, n) in enumerate([("gauge0", 3), ("gauge1", 1), ("gauge0", 2), ("gauge0", 2), ("gauge1", 1)])
    ]
    splats = find_splats(parse_kmsg("\n".join(lines)))
    assert [splat.title.split()[3] for splat in splats] == ["gauge0", "gauge1"]
    assert splats[0].fingerprint == find_splats(parse_kmsg(lines[2]))[0].fingerprint


@pytest.mark.parametrize(
    "lines",
    [
        "4,1,10,-;unregister_netdevice: waiting for gauge0 to become free. Usage count = 2\n"
        "4,2,11,-;ref_tracker: netdev@ffff88803a65e618 has 1/1 users at\\x0a"
        "     gauge_hold+0x21/0x40 [gauge]\\x0a     vfs_ioctl+0x2a/0x40\\x0a\n4,3,12,-;after\n",
        "4,1,10,-;unregister_netdevice: waiting for gauge0 to become free. Usage count = 2\n"
        "4,2,11,-;leaked reference.\n4,3,12,-;     gauge_hold+0x21/0x40 [gauge]\n4,4,12,-;     vfs_ioctl+0x2a/0x40\n",
    ],
)
def test_who_took_the_leaked_reference_is_blamed(lines: str) -> None:
    (splat,) = find_splats(parse_kmsg(lines))
    assert (splat.kind, splat.module) == ("leaked reference", "gauge")
    assert [frame.name for frame in splat.frames] == ["gauge_hold", "vfs_ioctl"]
