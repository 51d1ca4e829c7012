# SPDX-License-Identifier: MIT
"""Watched programs: their limits, and the output that is kept."""

from __future__ import annotations

import time

import pytest

from vmlab.errors import HostError
from vmlab.system.watched import BoundedOutput, Usage, run_watched


def _anything(_: Usage) -> str:
    return ""


def test_the_status_and_the_output_are_returned() -> None:
    ended = run_watched(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout_s=10, check=_anything)

    assert (ended.status, ended.output, ended.stopped) == (3, "out\nerr\n", "")


def test_a_program_is_stopped_at_the_timeout() -> None:
    started = time.monotonic()

    ended = run_watched(["sh", "-c", "trap '' TERM; echo begun; sleep 60"], timeout_s=0.5, check=_anything)

    assert (ended.stopped, ended.output) == ("took longer than 0 s", "begun\n")
    assert time.monotonic() - started < 10


def test_a_program_is_stopped_for_what_it_uses() -> None:
    ended = run_watched(
        ["sh", "-c", "sleep 60 & sleep 60 & wait"],
        timeout_s=30,
        check=lambda usage: "is too many" if usage.processes >= 3 else "",
    )

    assert ended.stopped == "is too many"


def test_a_missing_program_is_the_hosts_fault() -> None:
    with pytest.raises(HostError, match="program not found: 'no-such-program'"):
        run_watched(["no-such-program"], timeout_s=1, check=_anything)


def test_the_first_and_the_last_part_of_the_output_are_kept() -> None:
    output = BoundedOutput(first_bytes=4, last_bytes=3)
    for _ in range(10):
        output.add(b"0123456789")

    assert output.text() == "0123\n[vmlab: 93 bytes of output were cut here]\n789"


def test_short_output_is_kept_whole() -> None:
    output = BoundedOutput(first_bytes=4, last_bytes=6)
    output.add(b"0123456789")

    assert output.text() == "0123456789"
