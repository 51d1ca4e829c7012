# SPDX-License-Identifier: MIT
"""The reason of a failed command: the last line that explains it."""

from __future__ import annotations

import pytest

from vmlab.reason.command import last_words, with_words

_DD = "dd: error writing '/dev/full': No space left on device\n1+0 records in\n0+0 records out\n0 bytes copied, 0 s\n"


@pytest.mark.parametrize(
    ("stderr", "stdout", "words"),
    [
        ("cat: /x: Permission denied\n", "", "cat: /x: Permission denied"),
        ("first\nlast\n\n", "other\n", "last"),
        ("", "usage\nno such thing\n", "no such thing"),
        ("", "", ""),
        ("\n  \n", "", ""),
        ("cat: invalid option -- 'z'\nTry 'cat --help' for more information.\n", "", "cat: invalid option -- 'z'"),
        (
            "Job for x.service failed because it could not start.\n"
            'See "systemctl status x.service" and "journalctl -xeu x.service" for details.\n',
            "",
            "Job for x.service failed because it could not start.",
        ),
        (_DD, "", "dd: error writing '/dev/full': No space left on device"),
        ("+ false\n", "it is broken\n", "it is broken"),
        ("sudo: unable to resolve host lab: Name or service not known\n", "no device\n", "no device"),
        ("sudo: unable to resolve host lab: no\n", "", "sudo: unable to resolve host lab: no"),
        ("x.c:1:1: error: no\ncompilation terminated.\nmake: *** [Makefile:1: x] Error 1\n", "", "x.c:1:1: error: no"),
        ("tar: x: no\ntar: Exiting with failure status due to previous errors\n", "", "tar: x: no"),
        ("E: Unable to locate package x\nW: be careful\n", "", "E: Unable to locate package x"),
        ("warning: all that there is\n", "", "warning: all that there is"),
        ("Traceback (most recent call last):\n  File\nOSError: no such device\n", "", "OSError: no such device"),
        ("10 %\r50 %\rno space\r\n", "", "no space"),
        ("\x1b[31mred\x1b[0m \x07\u202ealert\n", "", "red alert"),
    ],
    ids=[
        "the only line",
        "the last line",
        "standard output",
        "nothing",
        "blank lines",
        "a hint about help",
        "a hint about the journal",
        "statistics",
        "a trace of the shell",
        "sudo's complaint about a name",
        "nothing but that complaint",
        "make's summary",
        "tar's summary",
        "a warning after the error",
        "only a warning",
        "a Python traceback",
        "progress",
        "escapes",
    ],
)  # fmt: skip
def test_the_last_telling_line_is_taken(stderr: str, stdout: str, words: str) -> None:
    assert last_words(stderr, stdout) == words


def test_a_long_line_is_shortened() -> None:
    assert len(last_words("x" * 5000, "")) == 240


def test_a_message_without_words_stays_as_it_is() -> None:
    assert with_words("it failed", "", "") == "it failed"
    assert with_words("it failed", "no", "") == "it failed: no"
