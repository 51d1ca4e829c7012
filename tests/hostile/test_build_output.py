# SPDX-License-Identifier: MIT
"""Output of a build that keeps the lab busy, or that fills its messages."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import cast

import pytest

from hostile.work import MOST_RATIO, growth
from vmlab.errors import BuildError
from vmlab.module.failure import build_failure
from vmlab.module.source import Source
from vmlab.reason.build import build_reason

_SOURCE = cast("Source", SimpleNamespace(name="fib", build_name="fib", files=("fib.c",)))
_LINES = {
    "plain": "x" * 2000,
    "places of a failed target": "make: *** [" + ":1" * 994,
    "names of make files": ".mk" * 666,
    "names of Kbuild files": "Kbuild" * 333,
    "diagnostics": "x: error: " * 199,
}


def _read(output: str) -> None:
    build_reason(output, directory="/build/fib", files=["fib.c"])


@pytest.mark.parametrize("name", list(_LINES))
def test_a_hostile_line_costs_little_more_than_another(name: str) -> None:
    started = time.thread_time()

    _read(f"{_LINES[name]}\n" * 100)

    assert time.thread_time() - started < 0.5


def test_levels_of_make_cost_linear_time() -> None:
    def levels(count: int) -> str:
        return "".join(f"make[{level}]: Entering directory '/'\n" for level in range(count))

    assert growth(lambda size: _read(levels(size) + "\n" * size), 3000) < MOST_RATIO


def test_the_longest_output_of_the_shortest_lines_is_read_in_seconds() -> None:
    started = time.thread_time()

    _read("x:" + "\n" * (5 * 2**20))

    assert time.thread_time() - started < 10


def test_a_message_has_a_largest_length_whatever_is_in_it() -> None:
    error = BuildError("x" * 10**6, hint="y" * 10**6)

    assert len(error.one_line) < 4010
    assert len(str(error)) < 4010


def test_a_line_of_all_the_output_is_cut_in_the_detail() -> None:
    error = build_failure(_SOURCE, "6.1", "x" * 4_000_000 + " last")

    assert len(error.detail) < 20_000
    assert error.detail.endswith(" last")
