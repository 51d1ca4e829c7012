# SPDX-License-Identifier: MIT
"""Records of the kernel log, in the format of /dev/kmsg."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from unit.fakes import completed
from vmlab.guest.kernel_log import KernelLog
from vmlab.guest.transport import Completed
from vmlab.klog.log import join_continued, lost_before, parse_console, parse_kmsg

_LOG = """\
6,339,5140900,-;NET: Registered PF_INET6 protocol family
30,340,5690716,-;udevd[80]: starting version 181
6,341,6000000,-;usb 1-1: new device
 SUBSYSTEM=usb
 DEVICE=c189:1
4,345,7500000,c,caller=T94;fibdrv: a\\x5cb, \\xe2\\x82\\xac 5
"""


def test_records_have_sequence_level_time_and_text() -> None:
    first, second, *_ = parse_kmsg(_LOG)
    assert (first.sequence, first.level, first.time_s) == (339, 6, 5.1409)
    assert first.text == "NET: Registered PF_INET6 protocol family"
    assert second.level == 6, "the facility stands in the higher bits"


def test_a_program_wrote_what_is_of_another_facility() -> None:
    assert [record.facility for record in parse_kmsg(_LOG)] == [0, 3, 0, 0]


def test_a_records_dictionary_is_no_part_of_its_text() -> None:
    record = parse_kmsg(_LOG)[2]
    assert record.text == "usb 1-1: new device"
    assert record.dictionary == (("SUBSYSTEM", "usb"), ("DEVICE", "c189:1"))


def test_a_gap_is_counted() -> None:
    records = parse_kmsg(_LOG)
    assert [record.sequence for record in records] == [339, 340, 341, 345]
    assert lost_before(records, first=339) == 3
    assert lost_before(records, first=300) == 42
    assert lost_before([], first=300) == 0


def test_a_line_in_pieces_is_one_line() -> None:
    pieces = parse_kmsg("4,1,10,-;one, \n4,2,11,c;two, \n4,3,12,c;three\n4,4,13,-;four\n")
    assert [record.text for record in join_continued(pieces)] == ["one, two, three", "four"]


def test_a_piece_belongs_to_its_own_writers_line_where_the_kernel_says_who_wrote() -> None:
    pieces = parse_kmsg("4,1,10,-,caller=T1;one, \n4,2,11,-,caller=T2;other\n4,3,12,c,caller=T1;two\n")
    assert [record.text for record in join_continued(pieces)] == ["one, two", "other"]


def test_a_piece_without_a_beginning_stands_alone() -> None:
    assert [record.text for record in join_continued(parse_kmsg("4,3,12,c;three\n"))] == ["three"]


@pytest.mark.parametrize(
    "line",
    [
        "[   12.345678] text",
        "[   12.345678][  T123] text",
        "[   12.345678] [    C1] text",
        "debian login: [   12.345678] text",
    ],
)
def test_the_consoles_lines_are_records_too(line: str) -> None:
    (record,) = parse_console(f"SeaBIOS\n{line}\nsystemd says something\n")
    assert (record.time_s, record.text) == (12.345678, "text")


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 21])
def test_absurd_numbers_are_no_record(number: str) -> None:
    assert parse_kmsg(f"4,{number},1,-;text\n") == []


def test_escaped_bytes_are_text_again() -> None:
    assert parse_kmsg(_LOG)[3].text == "fibdrv: a\\b, € 5"


def test_a_message_of_several_lines_is_one_record() -> None:
    for text in ("6,1,1,-;one\\x0atwo\n", "6,1,1,-;one\ntwo\n"):
        (record,) = parse_kmsg(text)
        assert record.text == "one\ntwo"


def test_a_text_that_looks_like_a_prefix_stays_text() -> None:
    (record,) = parse_kmsg("6,1,1,-;a;b,c;d\n")
    assert record.text == "a;b,c;d"


class _Kernel:
    """Answers reads of the log like a guest's shell: the whole log, or only new records where it is already open."""

    def __init__(self, log: str, *, has_line: bool) -> None:
        self.lines = log.splitlines()
        self.taint = 0
        self._has_line = has_line
        self._seen = 0
        self.looks: list[int] = []

    def __call__(self, command: str) -> Completed:
        if "echo '<6>" in command:
            number = int(self.lines[-1].split(",")[1]) + 1 if self.lines else 0
            self.lines.append(f"14,{number},9000000,-;{command.split('<6>')[1].split(chr(39))[0]}")
        is_rest = self._has_line and command.count("/proc/self/fd") > 0
        lines = self.lines[self._seen :] if is_rest else self.lines
        if is_rest:
            self._seen = len(self.lines)
        self.looks.append(len(lines))
        return completed(command, stdout="\n".join([str(self.taint), *lines]) + "\n")


@pytest.mark.parametrize("has_line", [True, False])
def test_only_what_came_after_is_given(has_line: bool) -> None:
    log = KernelLog(_Kernel(_LOG, has_line=has_line))
    assert log.position() == 345
    assert [record.sequence for record in log.after(340)] == [341, 345]
    assert len(log.after()) == 4


def test_an_empty_log_has_no_position() -> None:
    assert parse_kmsg("") == []
    assert KernelLog(_Kernel("", has_line=True)).position() == -1


def test_over_the_line_only_what_is_new_is_read() -> None:
    kernel = _Kernel(_LOG, has_line=True)
    log = KernelLog(kernel)
    before = log.position()
    kernel.lines.append("4,346,7000000,-;WARNING: something")
    assert [record.text for record in log.after(before)] == ["WARNING: something"]
    assert kernel.looks[1:] == [1]


def test_a_forks_log_is_read_from_where_it_was_frozen_and_whole_when_asked_for() -> None:
    kernel = _Kernel(_LOG, has_line=True)
    kernel("cat /proc/self/fd/9")  # already read before the freeze
    kernel.lines.append("4,346,7000000,-;random: crng reseeded due to virtual machine fork")
    log = KernelLog(kernel, position=345)
    assert [record.sequence for record in log.after(345)] == [346]
    assert log.position() == 346
    assert len(log.after()) == 5


def test_the_taint_is_that_of_the_last_look() -> None:
    kernel = _Kernel(_LOG, has_line=True)
    log = KernelLog(kernel)
    kernel.taint = 12288
    log.position()
    assert log.taint == 12288


def test_a_record_is_shown_as_dmesg_shows_it() -> None:
    assert str(parse_kmsg(_LOG)[0]) == "[    5.140900] NET: Registered PF_INET6 protocol family"


def test_a_mark_is_written_before_the_look_and_found_in_it() -> None:
    log = KernelLog(_Kernel("\n".join(_LOG.splitlines()[:2]), has_line=True))
    before = log.position()
    assert [record.text for record in log.after(before, mark="vmlab: here")] == ["vmlab: here"]


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_what_a_look_runs_is_what_a_shell_can_read(shell: str) -> None:
    commands: list[str] = []

    def keep(command: str) -> Completed:
        commands.append(command)
        return completed(command, stdout="0\n")

    log = KernelLog(keep, position=5)
    log.position()
    log.after(-1, mark="it's a mark")
    for command in commands:
        if shutil.which(shell):
            subprocess.run([shell, "-n"], input=command, text=True, check=True)
    assert len(commands) == 2


def test_a_stamp_in_the_middle_of_a_consoles_line_begins_another_record() -> None:
    first, second = parse_console("[   12.000000] gauge: loading[   12.345678][  T831] WARNING: gauge\n")

    assert (first.time_s, first.text, first.caller) == (12.0, "gauge: loading", "")
    assert (second.time_s, second.text, second.caller) == (12.345678, "WARNING: gauge", "T831")


def test_a_time_that_a_line_speaks_of_is_no_record() -> None:
    (record,) = parse_console("[   12.345678] gauge: stopped since [    3.000000] WARNING: CPU: 0 PID: 1 at a.c:1\n")
    assert record.text == "gauge: stopped since [    3.000000] WARNING: CPU: 0 PID: 1 at a.c:1"
