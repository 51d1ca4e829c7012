# SPDX-License-Identifier: MIT
"""The limit that made a build's command fail is named, with the command's own words."""

from __future__ import annotations

import pytest

from vmlab.module.build_limits import Room, reached_limit

_ROOM = Room(space_mib=2048, has_inodes=True)
_LIMITS = {"nproc": 512, "fsize": 2**30, "nofile": 1024, "as": 8 * 2**30}


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        ("sh: 1: Cannot fork", "512 processes"),
        ("make: fork: Resource temporarily unavailable", "512 processes"),
        ("bash: fork: retry: Resource temporarily unavailable", "512 processes"),
        ("answer.c:1: fatal error: error writing to /tmp/cc1.s: No space left on device", "2 GiB of files"),
        ("File size limit exceeded", "1 GiB in one file"),
        ("ld: cannot open a.o: Too many open files", "1024 open files in one process"),
        ("cc1: out of memory: Cannot allocate memory", "8 GiB of address space in one process"),
    ],
)
def test_the_limit_is_named_with_the_line_that_shows_it(line: str, limit: str) -> None:
    output = f"  CC [M]  answer.o\n  {line}\nmake: *** [Makefile:2: all] Error 2\n"

    assert reached_limit(output, _ROOM, _LIMITS) == f"its limit of {limit}: {line}"


def test_the_first_limit_that_an_output_names_is_the_reason() -> None:
    output = "cp: No space left on device\nsh: 1: Cannot fork\n"

    assert reached_limit(output, _ROOM, _LIMITS) == "its limit of 2 GiB of files: cp: No space left on device"


def test_a_file_system_without_inodes_names_the_number_of_files() -> None:
    room = Room(space_mib=2048, has_inodes=False)

    assert reached_limit("touch: No space left on device", room, _LIMITS).startswith("its limit of 200,000 files: ")


def test_a_limit_that_does_not_hold_here_is_no_reason() -> None:
    assert reached_limit("sh: 1: Cannot fork\n", _ROOM, {"as": 2**30}) == ""


def test_another_failure_has_no_limit() -> None:
    assert reached_limit("answer.c:3:1: error: expected ';'\n", _ROOM, _LIMITS) == ""
