# SPDX-License-Identifier: MIT
"""The kernel's lines are told from all others, put in order and joined, in logs with headers and without."""

from __future__ import annotations

import pytest

from vmlab.klog.formats.reader import LogReader
from vmlab.klog.log import LONGEST_TEXT, LogRecord

_BOOT = "[    0.000000] Linux version 6.12.48-lab\n[    0.500000] gauge: found\n"


def _read(*parts: str) -> tuple[list[LogRecord], LogReader]:
    reader = LogReader([part.split("\n") for part in parts])
    return [record for batch in reader.records() for record in batch], reader


def _texts(*parts: str) -> list[str]:
    return [record.text for record in _read(*parts)[0]]


def test_lines_without_a_stamp_are_not_the_kernels_where_others_have_one() -> None:
    records, reader = _read(f"{_BOOT}BUG: KASAN: not the kernel's\n[    1.000000] gauge: hot")

    assert [record.text for record in records] == ["Linux version 6.12.48-lab", "gauge: found", "gauge: hot"]
    assert reader.other_lines == 1


def test_lines_of_a_log_without_any_stamp_are_the_kernels() -> None:
    records, reader = _read("Linux version 6.12.48-lab\ngauge: found\n")

    assert [record.text for record in records if record.text] == ["Linux version 6.12.48-lab", "gauge: found"]
    assert reader.is_log
    assert not reader.is_stamped


@pytest.mark.parametrize("text", ["Hello,\nthe gauge is hot.\n", "a: b\nc: d\n", "{}\n", "BUG: no\n", "<1>x\ny\nz\n"])
def test_another_text_is_no_log(text: str) -> None:
    assert not _read(text)[1].is_log


def test_a_record_has_the_number_of_its_line_and_a_later_part_goes_on() -> None:
    records, reader = _read("[    1.000000] a\n[    2.000000] b", "no header\n[    3.000000] c")

    assert [(record.sequence, record.text) for record in records] == [(1, "a"), (2, "b"), (4, "c")]
    assert reader.lines == 4


def test_a_console_that_begins_without_stamps_is_read_from_the_first_stamp_on() -> None:
    loader = "\n".join(f"loader {number}" for number in range(3000))

    texts = _texts(loader, f"{_BOOT}login: x\n")

    assert texts[-2:] == ["Linux version 6.12.48-lab", "gauge: found"]
    assert "login: x" not in texts


def test_text_before_a_stamp_and_a_second_stamp_are_no_part_of_a_record() -> None:
    assert _texts(f"{_BOOT}login: [    1.000000] a[    1.100000] b")[2:] == ["a", "b"]


def test_a_carriage_return_begins_another_line() -> None:
    assert _texts(f"{_BOOT}10 %\r20 %\r[    1.000000] a\r[    2.000000] b")[2:] == ["a", "b"]


@pytest.mark.parametrize("sign", ["> ", ">", ">> ", "> > "])
def test_a_quoted_log_is_read(sign: str) -> None:
    quoted = "".join(f"{sign}{line}\n" for line in f"{_BOOT}[    1.000000] a".split("\n"))

    assert _texts(f"Hello,\n{quoted}bye\n") == ["Linux version 6.12.48-lab", "gauge: found", "a"]


def test_a_wrapped_line_is_joined() -> None:
    title = "WARNING: CPU: 1 PID: 831 at drivers/net/example/gauge.c:64"
    text = f"> [    1.000000] {title}\n> gauge_read+0x4a/0xb0 [gauge]\n> [    2.000000] b\n> [    3.000000] c"

    assert _texts(text)[0] == f"{title} gauge_read+0x4a/0xb0 [gauge]"


def test_a_short_line_is_not_joined_with_what_a_program_prints() -> None:
    assert _texts(f"{_BOOT}login: root")[-1] == "gauge: found"


def test_no_line_is_joined_where_others_are_long() -> None:
    long = f"[    0.700000] Command line: {'x' * 100}"

    assert _texts(f"{_BOOT}{long}\n[    1.000000] gauge: {'speed ' * 9}\nlogin: root")[-1].endswith("speed")


def test_a_list_of_modules_that_was_wrapped_is_one_line() -> None:
    text = "Oops: 0000 [#1]\nModules linked in: a(O) b\nc d(OE) [last unloaded:\nCall Trace:\n x+0x1/0x2"

    assert "Modules linked in: a(O) b c d(OE) [last unloaded:" in _texts(text)


def test_an_indented_log_without_stamps_is_moved_to_the_margin() -> None:
    assert _texts("Hello,\n\n    BUG: x\n    Call Trace:\n     a+0x1/0x2\n")[2:5] == [
        "BUG: x",
        "Call Trace:",
        " a+0x1/0x2",
    ]


def test_a_mail_in_quoted_printable_is_decoded() -> None:
    text = f"Content-Transfer-Encoding: quoted-printable\n\n{_BOOT}[    1.000000] a =3D=\n b=20\n[    2.000000] c"

    assert _texts(text)[2:] == ["a = b", "c"]


def test_the_parts_of_a_dump_are_put_in_order() -> None:
    text = "Panic#1 Part1\n<4>[    3.000000] c\nPanic#1 Part2\n<4>[    2.000000] b\nPanic#1 Part10\n<4>[    1.000000] a"

    assert _texts(text) == ["a", "b", "c"]
    assert _texts("".join(f"> {line}\n" for line in text.split("\n"))) == ["a", "b", "c"]


def test_what_a_later_dump_repeats_is_read_once() -> None:
    one = "Oops#1 Part1\n<4>[    1.000000] a\n<4>[    2.000000] b"
    two = "Panic#2 Part1\n<4>[    2.000000] b\n<4>[    3.000000] c"

    assert _texts(f"{two}\n{one}") == ["a", "b", "c"]


def test_the_parts_of_a_long_line_are_joined() -> None:
    text = "6,1,1000000,-,ncfrag=0/9;gauge\n6,1,1000000,-,ncfrag=5/9; hot\n6,2,2000000,-;b"

    assert _texts(text) == ["gauge hot", "b"]


def test_the_dictionary_of_a_record_is_not_counted_as_another_line() -> None:
    records, reader = _read("6,1,1000000,-;usb 1-1: a\n SUBSYSTEM=usb\n DEVICE=c189:1\n6,2,2000000,-;b")

    assert [record.text for record in records] == ["usb 1-1: a", "b"]
    assert reader.other_lines == 0


def test_a_record_is_as_long_as_a_kernel_can_print() -> None:
    assert [len(text) <= LONGEST_TEXT + 100 for text in _texts(f"{_BOOT}[    1.000000] {'y' * 60_000}")] == [True] * 3
