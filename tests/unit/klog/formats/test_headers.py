# SPDX-License-Identifier: MIT
"""The header of a line is taken off, whichever program printed it; what it says is kept."""

from __future__ import annotations

import pytest

from vmlab.klog.formats.headers import HeaderParser, Parsed

_TEXT = "gauge: speed is 5"
_KERNELS = [
    "[   12.345678] gauge: speed is 5",
    "<6>[   12.345678] gauge: speed is 5",
    "[   12.345678][  T831] gauge: speed is 5",
    "[   12.345678] [ C0] gauge: speed is 5",
    "    [   12.345678] gauge: speed is 5",
    "kern  :info  : [   12.345678] gauge: speed is 5",
    "[   12.345678 <    0.000012>] gauge: speed is 5",
    "[Tue Dec  1 10:23:02 2026] gauge: speed is 5",
    "kern  :warn  : [Tue Dec  1 10:23:02 2026 <    0.100000>] gauge: speed is 5",
    "[Dec 1 10:23] gauge: speed is 5",
    "[  +0.000012] gauge: speed is 5",
    "2026-12-01T10:23:02,345678+00:00 gauge: speed is 5",
    "Dec 01 10:23:02 mill kernel: gauge: speed is 5",
    "Dec 01 10:23:02 kernel: gauge: speed is 5",
    "   Dec 01 10:23:02 mill kernel: gauge: speed is 5",
    "2026-12-01T10:23:02.345678+08:00 kernel: gauge: speed is 5",
    "[   12.345678] kernel: gauge: speed is 5",
    "Dez 01 10:23:02.345678 mill kernel: gauge: speed is 5",
    "12月 01 10:23:02 mill kernel: gauge: speed is 5",
    "2026-12-01T10:23:02+0000 mill kernel: gauge: speed is 5",
    "2026-12-01T10:23:02.345678+01:00 mill kernel: [   12.345678] gauge: speed is 5",
    "Tue 2026-12-01 10:23:02 UTC mill kernel: gauge: speed is 5",
    "1796120582.345678 mill kernel: gauge: speed is 5",
    "[   12.345678] mill kernel: gauge: speed is 5",
    "<6>Dec  1 10:23:02 mill kernel: gauge: speed is 5",
    "Dec  1 10:23:02 mill kern.info kernel: [   12.345678] [  T831] gauge: speed is 5",
    "<6>1 2026-12-01T10:23:02.345678Z mill kernel - - - gauge: speed is 5",
    '<6>1 - mill kernel - - [a@1 b="c\\]d"][e@1 f="g"] \ufeffgauge: speed is 5',
    "Tue Dec  1 10:23:02 2026 kern.info kernel: [   12.345678] gauge: speed is 5",
    "6,339,12345678,-;gauge: speed is 5",
    "6.12.48-lab,6,339,12345678,-,caller=T831;gauge: speed is 5",
    "<6>gauge: speed is 5",
]
_PROGRAMS = [
    "Dec 01 10:23:02 mill systemd[1]: gauge: speed is 5",
    "Dec 01 10:23:02 mill kernel-tool: gauge: speed is 5",
    "2026-12-01T10:23:02+0000 mill gauged[831]: gauge: speed is 5",
    "<30>1 2026-12-01T10:23:02Z mill gauged 831 - - gauge: speed is 5",
    "Tue Dec  1 10:23:02 2026 daemon.info gauged[831]: gauge: speed is 5",
    "12,339,12345678,-;gauge: speed is 5",
    "<14>[   12.345678] gauge: speed is 5",
    "user  :info  : [   12.345678] gauge: speed is 5",
]
_NOTHING = [
    "",
    "gauge: speed is 5",
    "[12:30] it rains",
    "[drm] Initialized",
    "[   12.3] gauge: speed is 5",
    "Dec 1 was a Tuesday",
    "[Tue Dec  1 10:23:02 2026] [error] [client 192.0.2.1] File does not exist",
    "1,2,3",
    "ls -l >a",
]


@pytest.mark.parametrize("line", _KERNELS)
def test_a_line_of_the_kernel_is_read(line: str) -> None:
    parsed = HeaderParser().parse(line)

    assert parsed is not None
    assert (parsed.text, parsed.is_kernel) == (_TEXT, True)


@pytest.mark.parametrize("line", _PROGRAMS)
def test_a_line_of_a_program_is_not_the_kernels(line: str) -> None:
    parsed = HeaderParser().parse(line)

    assert parsed is not None
    assert (parsed.text, parsed.is_kernel) == (_TEXT, False)


@pytest.mark.parametrize("line", _NOTHING)
def test_a_line_without_a_header_has_none(line: str) -> None:
    assert HeaderParser().parse(line) is None


@pytest.mark.parametrize("line", [line for line in _KERNELS if "12.345678" in line or ",12345678," in line])
def test_the_kernels_own_time_is_read_where_a_line_has_it(line: str) -> None:
    parsed = HeaderParser().parse(line)

    assert parsed is not None
    assert (parsed.time_s, parsed.is_stamped) == (12.345678, True)


def test_the_level_and_the_caller_are_read() -> None:
    parsed = HeaderParser().parse("<4>[   12.345678][  T831] gauge: hot")

    assert parsed == Parsed("gauge: hot", 12.345678, 4, caller="T831", is_stamped=True)


@pytest.mark.parametrize(
    ("first", "second", "passed_s"),
    [
        ("Dec 01 10:23:02 mill kernel: a", "Dec 01 10:24:05 mill kernel: b", 63),
        ("[Tue Dec  1 23:59:59 2026] a", "[Wed Dec  2 00:00:01 2026] b", 2),
        ("[Dec 1 10:23] a", "[  +1.500000] b", 1.5),
        ("1796120582.000000 mill kernel: a", "1796120582.250000 mill kernel: b", 0.25),
    ],
)
def test_the_time_between_two_lines_is_known(first: str, second: str, passed_s: float) -> None:
    headers = HeaderParser()
    one, two = headers.parse(first), headers.parse(second)

    assert one is not None
    assert two is not None
    assert two.time_s - one.time_s == pytest.approx(passed_s)
    assert not two.is_stamped


def test_a_host_is_taken_off_only_where_every_line_has_it() -> None:
    headers = HeaderParser()

    texts = [headers.parse(f"[    1.000000] {text}") for text in ("mill kernel: a", "mill sshd[9]: b", "usb 1-1: c")]

    assert [(each.text, each.is_kernel) for each in texts if each] == [("a", True), ("b", False), ("usb 1-1: c", True)]


def test_a_part_of_a_long_line_is_known_as_one() -> None:
    headers = HeaderParser()

    first = headers.parse("6,339,12345678,-,ncfrag=0/12;gauge: ")
    second = headers.parse("6,339,12345678,-,ncfrag=7/12;speed")

    assert first is not None
    assert second is not None
    assert (first.text, first.continues, second.continues) == ("gauge: ", False, True)
