# SPDX-License-Identifier: MIT
"""Records of the kernel log, as /dev/kmsg gives them."""

from __future__ import annotations

from unit.fakes import FakeTransport, guest
from vmlab.guest.kernel_log import last_sequence, parse_kmsg, read_log

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


def test_a_records_dictionary_is_left_out_and_gaps_are_fine() -> None:
    assert [record.sequence for record in parse_kmsg(_LOG)] == [339, 340, 341, 345]
    assert parse_kmsg(_LOG)[2].text == "usb 1-1: new device"


def test_escaped_bytes_are_text_again() -> None:
    assert parse_kmsg(_LOG)[3].text == "fibdrv: a\\b, € 5"


def test_a_message_of_several_lines_is_one_record() -> None:
    for text in ("6,1,1,-;one\\x0atwo\n", "6,1,1,-;one\ntwo\n"):
        (record,) = parse_kmsg(text)
        assert record.text == "one\ntwo"


def test_a_text_that_looks_like_a_prefix_stays_text() -> None:
    (record,) = parse_kmsg("6,1,1,-;a;b,c;d\n")
    assert record.text == "a;b,c;d"


def test_an_empty_log_has_no_last_record() -> None:
    assert parse_kmsg("") == []
    assert last_sequence([]) == -1
    assert last_sequence(parse_kmsg(_LOG)) == 345


def test_only_what_came_after_is_read() -> None:
    lab = guest(FakeTransport({"dd": _LOG}))
    assert [record.sequence for record in read_log(lab, after=340)] == [341, 345]
    assert len(read_log(lab)) == 4


def test_a_record_is_shown_as_dmesg_shows_it() -> None:
    assert str(parse_kmsg(_LOG)[0]) == "[    5.140900] NET: Registered PF_INET6 protocol family"
