# SPDX-License-Identifier: MIT
"""The serial console, made readable."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.machine.console import Console, clean


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\n", "plain\n"),
        ("\x1b[0;1;31mred\x1b[0m\r\n", "red\n"),
        ("\x1b[2J\x1b[?7lSeaBIOS\x1b[=3h", "SeaBIOS"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bMup", "up"),
        ("a\0b\rc", "abc"),
        ("[    0.000000] Linux version [x]", "[    0.000000] Linux version [x]"),
    ],
)
def test_terminal_sequences_are_gone_and_text_stays(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_console_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    console = Console(tmp_path / "none")
    assert console.text() == ""
    assert console.tail() == "--- the console is empty ---"


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_text("".join(f"line {number}\r\n" for number in range(100)))
    assert Console(path).tail(2).splitlines() == ["--- console, last lines ---", "line 98", "line 99"]


def test_a_console_that_grows_is_read_to_its_present_end(tmp_path: Path) -> None:
    path = tmp_path / "console"
    console = Console(path)
    path.write_text("one\n")
    assert console.text().split() == ["one"]
    path.write_text("one\ntwo\n")
    assert console.text().split() == ["one", "two"]


def test_bytes_that_are_no_utf_8_are_shown_as_such(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_bytes(b"good \xff bad\n")
    assert Console(path).text() == "good \\xff bad\n"


def test_a_panic_is_found_with_its_reason_and_a_quiet_console_has_none(tmp_path: Path) -> None:
    path = tmp_path / "console"
    path.write_text("[    1.0] fibdrv: loading\n")
    assert not Console(path).panic()
    path.write_text(
        "[    1.0] fibdrv: loading\r\n[    2.0] Kernel panic - not syncing: Fatal exception\r\n[    2.1] x\r\n"
    )
    assert "Fatal exception" in Console(path).panic()
