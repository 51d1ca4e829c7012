# SPDX-License-Identifier: MIT
"""A kernel log and a console that take the lab's time, memory or disk, or hide a report."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from unit.fakes import completed, guest

from hostile.work import MOST_RATIO, growth
from vmlab.errors import GuestError
from vmlab.guest.kernel_log import KernelLog
from vmlab.guest.transport import Completed
from vmlab.guest.trouble import require_checked
from vmlab.guest.watch import KernelWatch
from vmlab.klog.call_trace import frames_of
from vmlab.klog.findings import Findings, Witness
from vmlab.klog.log import LONGEST_TEXT, parse_console, parse_kmsg
from vmlab.klog.rules import known_rules
from vmlab.klog.splat import FLOOD, describe, find_reports, find_splats
from vmlab.klog.verdict import judge
from vmlab.machine import console as console_module
from vmlab.machine.console import Console, clean, trimmed
from vmlab.system.wait import wait_until
from vmlab.testing import FakeConsole, FakeTransport

_OOPS = "BUG: KASAN: slab-out-of-bounds in fib_read+0x1b/0x40 [fibdrv]"


def _records(count: int, text: str, flags: str = "-", every_us: int = 3_000_000) -> str:
    return "".join(f"4,{number},{number * every_us},{flags};{text}\n" for number in range(count))


_LOGS: dict[str, tuple[Callable[[int], str], int]] = {
    "dictionary-lines": (lambda size: "4,1,1,-;x\n" + " A=b\n" * size, 20_000),
    "lines-that-are-no-records": (lambda size: "4,1,1,-;x\n" + "Aabcdefgh\n" * size, 30_000),
    "a-header-without-an-end": (lambda size: "4,1,1," + "a" * size, 15_000),
    "continuations-without-an-end": (lambda size: "4,0,1,-;x\n" + _records(size, "y" * 200, "c"), 10_000),
    "notices-only": (lambda size: _records(size, "module license 'x' taints kernel"), 5_000),
    "one-trace-full-of-positions": (
        lambda size: f"4,0,1,-;{_OOPS}\n" + "a+0x1/0x2\n" * size + "RIP: 0010:a+0x0/0x2\n" * size,
        8_000,
    ),
    "quotes-in-a-panic": (lambda size: f"4,0,1,-;{_OOPS} " + "panicked at '', " * size, 30_000),
    "quotes-in-a-notice": (lambda size: "4,0,1,-;" + "module license '" * size, 2_000),
    "consequences": (
        lambda size: _records(size, "Kernel panic - not syncing: Fatal exception", every_us=1), 15_000
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _LOGS)
def test_the_time_for_a_log_grows_as_its_size(name: str) -> None:
    make, size = _LOGS[name]
    logs = {each: make(each) for each in (size, 4 * size)}

    assert growth(lambda each: find_reports(parse_kmsg(logs[each])), size) < MOST_RATIO


def test_the_time_for_a_trace_full_of_positions_grows_as_its_size() -> None:
    def read(size: int) -> object:
        return frames_of(["a+0x1/0x2"] * size + ["RIP: 0010:a+0x0/0x2"] * size)

    assert growth(read, 3_000) < MOST_RATIO


def test_a_record_keeps_as_much_text_as_the_kernel_can_print() -> None:
    (record,) = parse_kmsg(f"4,1,1,-;{_OOPS}\n" + "Aabcdefgh\n" * 100_000)
    (said,) = parse_console(f"[    1.000000] {_OOPS}{'x' * 10_000_000}\n")

    assert record.text.startswith(_OOPS)
    assert len(record.text) < LONGEST_TEXT + 100
    assert said.text.endswith("more characters]")
    assert len(said.text) < LONGEST_TEXT + 100
    assert find_splats([record])
    assert find_splats([said])


def test_a_flood_of_reports_is_a_report_of_its_own_that_no_expectation_covers() -> None:
    splats = find_splats(parse_kmsg(_records(20_000, _OOPS)))
    findings = Findings(splats=tuple(splats), records=(), taint_before=0, taint_after=0, witness=Witness.LOG)

    judgement = judge(findings, expected=["KASAN"], rules=known_rules(), release="6.1.0", today=datetime.date.today())

    assert len(splats) < 2_000
    assert [splat.kind for splat in judgement.trouble] == [FLOOD]
    assert "lines that may be reports were not examined" in judgement.reason
    assert len(describe(splats).splitlines()) < 200


class _Flooded(FakeTransport):
    """A guest whose kernel log is cut in the middle by the limit of the line."""

    left_out = 0

    def run(self, command: str, *, timeout_s: float) -> Completed:
        done = super().run(command, timeout_s=timeout_s)
        if "/dev/kmsg" not in command or not self.left_out:
            return done
        lines = done.stdout.splitlines(keepends=True)
        kept = [*lines[:2], "[vmlab left out 5 bytes here]\n", *lines[-2:]]
        return replace(done, stdout="".join(kept), left_out=self.left_out)


def _watched(*, left_out: int = 5) -> tuple[_Flooded, KernelWatch]:
    transport = _Flooded()
    watch = KernelWatch(guest(transport, console=transport.console))
    watch.begin("a test")
    transport.left_out = left_out
    return transport, watch


def test_a_report_in_the_part_of_the_log_that_was_cut_is_found_on_the_console() -> None:
    transport, watch = _watched()
    for text in ("one", "two", _OOPS, "three", "four", "five"):
        transport.say(text)

    findings = watch.end()

    assert [splat.kind for splat in findings.splats] == ["KASAN"]
    assert "5 bytes in the middle of the kernel log were left out" in findings.cut


def test_a_log_and_a_console_that_are_both_cut_fail_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "MOST_BYTES", 200)
    transport, watch = _watched()
    for text in ("one", "two", _OOPS, *["filler"] * 100):
        transport.say(text)

    findings = watch.end()

    assert findings.unchecked
    with pytest.raises(GuestError, match="a report may be in the part that is missing"):
        require_checked(findings)


def _say_off_the_console(transport: FakeTransport, text: str) -> None:
    said = transport.console.said
    transport.say(text)
    transport.console.said = said


def _flood(transport: FakeTransport, text: str = "chatty", *, count: int = 100) -> None:
    for number in range(count):
        transport.say(f"{text} {number}")
    del transport.kernel_log[:-20]


def test_a_report_off_the_console_that_is_overwritten_in_the_log_fails_the_test() -> None:
    transport, watch = _watched(left_out=0)
    _say_off_the_console(transport, _OOPS)
    _flood(transport)

    findings = watch.end()

    with pytest.raises(GuestError, match="records of the kernel log are missing"):
        require_checked(findings)


def test_a_mark_that_is_printed_again_does_not_hide_what_was_overwritten_before_it() -> None:
    transport, watch = _watched(left_out=0)
    begins = transport.kernel_log[-1].partition(";")[2]
    _say_off_the_console(transport, _OOPS)
    _flood(transport)
    transport.say(begins)

    assert watch.end().unchecked


def test_a_flood_on_the_console_too_fails_the_test_with_what_it_shows() -> None:
    transport, watch = _watched(left_out=0)
    transport.say(_OOPS)
    _flood(transport)

    findings = watch.end()

    assert findings.unchecked
    assert [splat.title for splat in findings.splats] == [_OOPS]
    assert any("were overwritten before they were read" in note for note in findings.notes)


def test_a_module_that_is_named_like_the_lab_does_not_hide_its_report() -> None:
    transport, watch = _watched(left_out=0)
    transport.say("vmlab: init suspiciously returned 1, it should follow 0/-E convention")
    for text in ("CPU: 0 UID: 0 PID: 1 Comm: insmod Not tainted 7.3", "Call Trace:", " do_init_module+0x1/0x2"):
        transport.say(text)

    assert [splat.title for splat in watch.end().splats] == [
        "vmlab: init suspiciously returned 1, it should follow 0/-E convention"
    ]


@pytest.mark.parametrize("taint", ["", "9" * 5000, "-1", "0x10", "[vmlab left out 5 bytes]"])
def test_a_taint_that_is_no_number_is_one_clear_error(taint: str) -> None:
    log = KernelLog(lambda command: completed(command, stdout=f"{taint}\n4,1,1,-;x\n"))
    with pytest.raises(GuestError, match="its taint value is") as caught:
        log.position()
    assert len(str(caught.value)) < 200


def test_a_guest_that_logs_for_ever_is_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.guest.kernel_log.MOST_RECORDS", 1000)
    numbers = iter(range(10**9))

    def answer(command: str) -> Completed:
        return completed(command, stdout="0\n" + "".join(f"4,{next(numbers)},1,-;x\n" for _ in range(1000)))

    log = KernelLog(answer)
    for _ in range(20):
        log.after(log.newest)

    assert len(log.after()) <= 2000


# --- the console


def _counted(path: Path) -> tuple[Console, list[int]]:
    sizes: list[int] = []

    class Counted(Console):
        def read(self, start: int, end: int) -> bytes:
            data = super().read(start, end)
            sizes.append(len(data))
            return data

    return Counted(path), sizes


def test_each_byte_of_a_console_is_searched_for_a_panic_once(tmp_path: Path) -> None:
    console, sizes = _counted(tmp_path / "console")
    for _ in range(50):
        with console.path.open("ab") as file:
            file.write(b"x" * 100_000)
        assert not console.panic()

    assert sum(sizes) < 2 * console.size()


def test_a_panic_is_found_whole_at_any_border_of_what_was_searched(tmp_path: Path) -> None:
    console, _ = _counted(tmp_path / "console")
    for letter in "x" * 3000 + "\nKernel panic - not syncing: Fatal exception":
        with console.path.open("a") as file:
            file.write(letter)
        console.panic()
    assert console.panic() == "Fatal exception"
    with console.path.open("a") as file:
        file.write(" in interrupt\n" + "x" * 3_000_000)
    assert console.panic() == "Fatal exception in interrupt"


def test_a_console_without_an_end_is_read_at_its_two_ends(tmp_path: Path) -> None:
    console, sizes = _counted(tmp_path / "console")
    console.path.write_text("[    1.000000] first\n")
    with console.path.open("r+b") as file:
        file.truncate(64 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n[    2.000000] last\n")

    part = console.part()

    assert sum(sizes) <= console_module.MOST_BYTES
    assert [record.text for record in parse_console(part.text)] == ["first", "last"]
    assert f"vmlab left out {part.left_out} bytes here" in part.text
    assert console.tail(1).endswith("last")
    assert not console.panic()
    assert sum(sizes) < 2 * console_module.MOST_BYTES


def test_a_console_does_not_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_module, "MOST_DISK_BYTES", 4 << 20)
    monkeypatch.setattr(console_module, "KEPT_BYTES", 1 << 20)
    console = Console(tmp_path / "console")
    lines = b"".join(b"[%12.6f] line %06d\n" % (number, number) for number in range(2000))
    # QEMU opens the file once and writes at its own offset.
    with console.path.open("wb", buffering=0) as qemu, trimmed(console, interval_s=0.01):
        qemu.write(b"[    0.000000] first\n")
        for _ in range(300):
            qemu.write(lines)
        qemu.write(b"[    9.000000] last\n")
        wait_until(
            lambda: console.path.stat().st_blocks * 512 < 5 << 20, timeout_s=20, describe="the console to be trimmed"
        )

    records = parse_console(console.text())

    assert console.size() > 15 << 20
    assert (records[0].text, records[-1].text) == ("first", "last")
    assert console.part().left_out > 10 << 20
    assert not console.part(after=console.size() - 1000).left_out


def test_a_panic_is_remembered_when_its_part_of_the_console_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console_module, "MOST_DISK_BYTES", 1 << 20)
    monkeypatch.setattr(console_module, "KEPT_BYTES", 64 << 10)
    console = Console(tmp_path / "console")
    console.path.write_bytes(b"x" * 500_000 + b"\nKernel panic - not syncing: hello\n" + b"x" * 2_000_000)

    console.trim()

    assert console.panic() == "hello"
    assert "hello" not in console.text()


def test_an_escape_sequence_does_not_hide_the_lines_up_to_its_end() -> None:
    said = clean(f"[    1.000000] \x1b]0;title\n[    2.000000] {_OOPS}\n[    3.000000] \x07\n")
    assert find_splats(parse_console(said))


def test_a_fake_console_is_read_like_a_real_one() -> None:
    assert FakeConsole("abc").text(after=1, until=2) == "b"
