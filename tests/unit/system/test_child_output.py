# SPDX-License-Identifier: MIT
"""A child's output is read to its end, even if it cannot be logged or passed on."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from vmlab.errors import HostError
from vmlab.system.child_output import OutputReader


def test_a_log_is_appended_to_and_is_its_users_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"

    for line in ("one\n", "zwei ü\n"):
        with OutputReader(log, None) as reader:
            reader.begin(io.StringIO(line))
            reader.join(5)
            reader.require_whole()

    assert log.read_text(encoding="utf-8") == "one\nzwei ü\n"
    assert log.stat().st_mode & 0o777 & ~0o600 == 0


def test_all_lines_are_read_although_the_log_is_full() -> None:
    seen: list[str] = []

    with OutputReader(Path("/dev/full"), seen.append) as reader:
        reader.begin(io.StringIO("a\nb\nc\n"))
        reader.join(5)
        with pytest.raises(HostError, match="No space left on device"):
            reader.require_whole()

    assert reader.lines == ["a\n", "b\n", "c\n"]
    assert reader.tail == "a\nb\nc\n"
    assert seen == []


def test_the_first_failure_of_a_callback_is_raised() -> None:
    def fail(line: str) -> None:
        raise ValueError(line)

    with OutputReader(None, fail) as reader:
        reader.begin(io.StringIO("first\nsecond\n"))
        reader.join(5)
        with pytest.raises(ValueError, match="first"):
            reader.require_whole()
