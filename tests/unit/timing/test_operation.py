# SPDX-License-Identifier: MIT
"""Operations in the syntax that users type."""

from __future__ import annotations

import pytest

from vmlab.errors import UsageError
from vmlab.timing.operation import parse_operation


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pread /dev/x {n} 300", ("pread", "/dev/x", "7", "300")),
        ("ioctl /dev/x 0xfb01 {n}", ("ioctl", "/dev/x", "0xfb01", "7")),
        ("command cat '/dev/my device' -n{n}", ("command", "cat", "/dev/my device", "-n7")),
        ("syscall", ("syscall",)),
        ("loop {n}", ("loop", "7")),
    ],
)
def test_words_are_taken_with_the_size_put_in(text: str, words: tuple[str, ...]) -> None:
    assert parse_operation(text)(7).words == words


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "unknown operation ''"),
        ("raed /dev/x 0 1", r"unknown operation 'raed' \(did you mean 'read'\?"),
        ("pread /dev/x", "pread takes PATH OFFSET SIZE, got '/dev/x'"),
        ("syscall 3", "syscall takes no arguments, got '3'"),
        ("command", "command takes PROGRAM WORD"),
        ("pread '/dev/x", "cannot parse the operation"),
    ],
)
def test_what_is_no_operation_is_one_line(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse_operation(text)
    assert "\n" not in str(caught.value)
