# SPDX-License-Identifier: MIT
"""Follow-up reports are part of the report that names the cause, and both count as one."""

from __future__ import annotations

import datetime

import pytest

from vmlab.klog.findings import Findings, Witness
from vmlab.klog.log import parse_console, parse_kmsg
from vmlab.klog.rules import known_rules
from vmlab.klog.splat import Splat, describe, find_splats
from vmlab.klog.verdict import Judgement, judge

_END = "---[ end trace 0000000000000000 ]---"
_CUT = "------------[ cut here ]------------"


def _cpu(process: str = "feeder", pid: int = 831) -> str:
    return f"CPU: 1 PID: {pid} Comm: {process} Tainted: G           OE     6.1.0-lab #1"


def _oops(title: str, *, process: str = "feeder", pid: int = 831, function: str = "gauge_read") -> list[str]:
    return [
        title,
        "Oops: 0000 [#1] PREEMPT SMP NOPTI",
        _cpu(process, pid),
        f"RIP: 0010:{function}+0x4a/0xb0 [gauge]",
        "Call Trace:",
        " <TASK>",
        " vfs_read+0xb4/0x320",
        " </TASK>",
        _END,
    ]


def _panic(words: str) -> list[str]:
    title = f"Kernel panic - not syncing: {words}"
    return [title, _cpu(), "Call Trace:", " panic+0x118/0x2ed", f"---[ end {title} ]---"]


def _report(title: str) -> list[str]:
    return [title, _cpu(), "Call Trace:", " gauge_read+0x4a/0xb0 [gauge]", " vfs_read+0xb4/0x320"]


def _console(*texts: str, start_s: float = 100, prefix: str = "") -> str:
    return "".join(f"[{start_s + number / 1000:12.6f}]{prefix} {text}\n" for number, text in enumerate(texts))


def _find(*texts: str) -> list[Splat]:
    return find_splats(parse_console(_console(*texts)))


_NULL = "BUG: kernel NULL pointer dereference, address: 0000000000000018"
_WARNING = "WARNING: CPU: 1 PID: 831 at drivers/misc/gauge.c:64 gauge_read+0x4a/0xb0 [gauge]"


@pytest.mark.parametrize(
    ("cause", "words", "kind"),
    [
        (_oops(_NULL), "Fatal exception", "null pointer"),
        (_oops(_NULL), "Fatal exception in interrupt", "null pointer"),
        (_oops(_NULL), "Aiee, killing interrupt handler!", "null pointer"),
        (_oops(_NULL, process="init", pid=1), "Attempted to kill init! exitcode=0x0000000b", "null pointer"),
        (_oops(_NULL, process="swapper/1", pid=0), "Attempted to kill the idle task!", "null pointer"),
        (_oops("kernel BUG at drivers/misc/gauge.c:118!"), "Fatal exception", "BUG"),
        (_oops("kernel BUG at drivers/misc/gauge.c:118!"), "Oops - BUG: Fatal exception in interrupt", "BUG"),
        ([_CUT, _WARNING], "panic_on_taint set ...", "WARNING"),
        (["BUG: workqueue lockup - pool cpus=1 stuck for 30s!"], "workqueue: 1 stalls", "workqueue lockup"),
        (_oops("kernel BUG at drivers/misc/gauge.c:118!"), "BUG!", "BUG"),
        ([_CUT, *_report(_WARNING)], "kernel: panic_on_warn set ...", "WARNING"),
        ([_CUT, _WARNING], "panic_on_warn set ...", "WARNING"),
        (
            _report("BUG: KASAN: use-after-free in gauge_read+0x4a/0xb0 [gauge]"),
            "KASAN: panic_on_warn set ...",
            "KASAN",
        ),
        (_report("BUG: KASAN: use-after-free in gauge_read+0x4a/0xb0 [gauge]"), "kasan.fault=panic set ...", "KASAN"),
        (
            [*_report("UBSAN: array-index-out-of-bounds in gauge.c:77:12"), _END],
            "UBSAN: panic_on_warn set ...",
            "UBSAN",
        ),
        (["UBSAN: unreachable in gauge.c:77:12"], "can't return from __builtin_unreachable()", "UBSAN"),
        (
            _oops("UBSAN: array index out of bounds at gauge_read+0x4a/0xb0 [gauge]"),
            "Fatal exception",
            "UBSAN",
        ),
        (
            _report("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [feeder:831]"),
            "softlockup: hung tasks",
            "soft lockup",
        ),
        (_report("watchdog: Watchdog detected hard LOCKUP on cpu 1"), "Hard LOCKUP", "hard lockup"),
        (_report("INFO: task feeder:831 blocked for more than 122 seconds."), "hung_task: blocked tasks", "hung task"),
        (_report("rcu: INFO: rcu_preempt self-detected stall on CPU"), "RCU Stall", "RCU stall"),
        (["Insufficient stack space to handle exception!"], "kernel stack overflow", "stack guard hit"),
        (_oops("traps: PANIC: double fault, error_code: 0x0"), "Machine halted.", "double fault"),
        (_report("BUG: scheduling while atomic: feeder/831/0x2"), "panic_on_warn set ...", "scheduling while atomic"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "[  T831]"])
def test_a_panic_belongs_to_the_report_that_it_follows_from(
    cause: list[str], words: str, kind: str, prefix: str
) -> None:
    text = _console(*cause, "eth0: link is up", *_panic(words), prefix=prefix)
    (splat,) = find_splats(parse_console(text))
    assert splat.kind == kind
    assert [each.kind for each in splat.consequences] == ["panic"]
    assert f"end Kernel panic - not syncing: {words}" in describe([splat])


@pytest.mark.parametrize(
    "words",
    [
        "gauge: the tank is empty",
        "stack-protector: Kernel stack is corrupted in: gauge_read+0x4a/0xb0 [gauge]",
        "VFS: Unable to mount root fs on unknown-block(0,0)",
        "Attempted to kill init! exitcode=0x00000100",
        "softlockup: hung tasks",
        "hung_task: blocked tasks",
        "kernel stack overflow",
        "NMI: Not continuing",
        "sysrq triggered crash",
    ],
)
def test_another_panic_after_a_report_is_trouble_of_its_own(words: str) -> None:
    first, second = _find(*_oops(_NULL), *_panic(words))
    assert (first.kind, second.kind) == ("null pointer", "stack corruption" if "protector" in words else "panic")


def test_a_panic_long_after_a_report_is_trouble_of_its_own() -> None:
    text = _console(*_oops(_NULL)) + _console(*_panic("Fatal exception"), start_s=200)
    assert [splat.kind for splat in find_splats(parse_console(text))] == ["null pointer", "panic"]


def test_a_panic_without_a_report_before_it_is_told() -> None:
    assert [splat.kind for splat in _find("gauge: quiet", *_panic("Fatal exception"))] == ["panic"]


def test_a_report_between_an_oops_and_another_fault_is_counted() -> None:
    splats = _find(*_oops(_NULL), *_oops(_NULL, function="gauge_peek"), *_panic("Fatal exception"))
    assert [len(splat.consequences) for splat in splats] == [0, 1]


def test_the_oops_that_kasan_announced_is_one_fault_with_its_report() -> None:
    kasan = _report("BUG: KASAN: null-ptr-deref in gauge_read+0x4a/0xb0 [gauge]")
    (splat,) = _find("=" * 66, *kasan, "=" * 66, *_oops(_NULL), *_panic("Fatal exception"))
    assert splat.kind == "KASAN"
    assert [each.kind for each in splat.consequences] == ["null pointer", "panic"]


@pytest.mark.parametrize("oops", [_oops(_NULL, function="gauge_peek"), _oops(_NULL, process="tap", pid=94)])
def test_an_oops_elsewhere_is_no_part_of_kasans_report(oops: list[str]) -> None:
    kasan = _report("BUG: KASAN: null-ptr-deref in gauge_read+0x4a/0xb0 [gauge]")
    assert [splat.kind for splat in _find("=" * 66, *kasan, "=" * 66, *oops)] == ["KASAN", "null pointer"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("refcount_t: underflow; use-after-free.", "refcount"),
        ("list_del corruption, ffff888103a1c0d0->next is LIST_POISON1 (dead000000000100)", "list corruption"),
        ("ODEBUG: free active (active state 0) object type: timer_list hint: gauge_tick+0x0/0x10 [gauge]", "ODEBUG"),
        ("Bad or missing usercopy whitelist? Kernel memory exposure attempt detected from SLUB object 'g'", "usercopy"),
        ("cache_from_obj: Wrong slab cache. kmalloc-64 but object is from gauge", "slab corruption"),
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        "WARNING: CPU: 1 PID: 831 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110",
        "WARNING: lib/refcount.c:28 at refcount_warn_saturate+0xba/0x110, CPU#1: feeder/831",
        "WARNING: [x > 5] lib/refcount.c:28 at refcount_warn_saturate+0xba/0x110, CPU#1: feeder/831",
    ],
)
def test_a_warning_and_its_message_are_one_report_of_the_messages_kind(message: str, kind: str, place: str) -> None:
    rest = [_cpu(), "Call Trace:", " gauge_put+0x2e/0x40 [gauge]", _END]
    for lines in ([message, place], [place, message], [message, "eth0: link is up", place]):
        (splat,) = _find(_CUT, *lines, *rest)
        assert (splat.kind, splat.title, splat.module) == (kind, message, "gauge")
        assert splat.records[-1].text == _END


def test_a_message_after_a_whole_warning_is_another_report() -> None:
    rest = [_cpu(), "Call Trace:", " gauge_put+0x2e/0x40 [gauge]", _END]
    splats = _find(_CUT, _WARNING, *rest, _CUT, "refcount_t: underflow; use-after-free.", _WARNING, *rest)
    assert [splat.kind for splat in splats] == ["WARNING", "refcount"]


_PLACE = "rust_kernel: panicked at /srv/gauge/gauge_main.rs:97:13:"
_RUST = [
    _CUT,
    "kernel BUG at rust/helpers/bug.c:7!",
    "Oops: invalid opcode: 0000 [#1] SMP NOPTI",
    _cpu(),
    "RIP: 0010:rust_helper_BUG+0x8/0x10",
    "Call Trace:",
    " <TASK>",
    " _RNvCscb18lrEyTSA_7___rustc17rust_begin_unwind+0x9e/0xa0",
    " _RNvMCs1_5gaugeNtB2_5Gauge4read+0x1c/0x20 [gauge]",
    " </TASK>",
    _END,
]


@pytest.mark.parametrize(
    ("words", "title"),
    [
        ([_PLACE, "attempt to divide by zero"], f"{_PLACE} attempt to divide by zero"),
        ([_PLACE], _PLACE),
        (["rust_kernel: panicked at 'at a.rs:1:1: no', gauge.rs:97:13"],) * 2,
        (["panicked at gauge.rs:97:13:", "no"], "panicked at gauge.rs:97:13: no"),
    ],
)
def test_a_rust_panics_own_words_are_its_title(words: list[str], title: list[str] | str) -> None:
    (splat,) = _find("gauge: quiet", *words, *_RUST, *_panic("Fatal exception"))
    assert splat.kind == "Rust panic"
    assert splat.title == (title if isinstance(title, str) else title[0])
    assert splat.location.endswith(".rs:97")
    assert (splat.module, splat.process) == ("gauge", "feeder[831]")
    assert splat.records[-1].text == _END


def test_a_rust_panics_message_is_in_the_same_record_of_the_log() -> None:
    texts = [f"{_PLACE}\\x0aattempt to divide by zero", *_RUST]
    (splat,) = find_splats(parse_kmsg("".join(f"4,{n},{n},-;{text}\n" for n, text in enumerate(texts))))
    assert splat.title == f"{_PLACE} attempt to divide by zero"


def _judge(text: str, *expected: str, taint: int = 0) -> Judgement:
    findings = Findings(
        splats=tuple(find_splats(parse_console(text))),
        records=(),
        taint_before=0,
        taint_after=taint,
        witness=Witness.CONSOLE,
    )
    return judge(
        findings, expected=expected, rules=known_rules(), release="6.1.0-56", today=datetime.date(2026, 11, 24)
    )


def test_a_fault_and_its_panic_are_told_as_one() -> None:
    assert _judge(_console(*_oops(_NULL), *_panic("Fatal exception"))).reason == f"kernel: {_NULL}"


@pytest.mark.parametrize(
    ("expected", "is_quiet"),
    [
        (("null pointer", "panic"), True),
        (("null pointer",), False),
        (("panic",), False),
        (("null pointer", "slub"), False),
    ],
)
def test_an_expected_report_covers_no_panic_over_it(expected: tuple[str, ...], is_quiet: bool) -> None:
    judgement = _judge(_console(*_oops(_NULL), *_panic("Fatal exception")), *expected)
    assert judgement.is_quiet is is_quiet


def test_an_expected_report_and_what_follows_explain_their_taints() -> None:
    kasan = _report("BUG: KASAN: null-ptr-deref in gauge_read+0x4a/0xb0 [gauge]")
    text = _console("=" * 66, *kasan, "=" * 66, *_oops(_NULL))
    assert _judge(text, "KASAN", "null pointer", taint=1 << 5 | 1 << 7).is_quiet


def test_a_leaked_reference_explains_no_taint() -> None:
    text = _console("unregister_netdevice: waiting for gauge0 to become free. Usage count = 1")
    assert _judge(text, "leaked reference").is_quiet
    assert _judge(text, "leaked reference", taint=1 << 9).taints == ("warning",)
