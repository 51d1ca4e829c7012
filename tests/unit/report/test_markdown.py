# SPDX-License-Identifier: MIT
"""The step summary has a row per kernel and the reasons verbatim, and guest text is escaped."""

from __future__ import annotations

import re
from dataclasses import replace

from vmlab.report.markdown import MOST_BYTES, summary
from vmlab.report.model import Outcome, ShardFacts

from .results import facts, row, run

_GOOD = ("fib::read", Outcome.PASSED, "")


def test_a_row_has_the_kernel_the_accelerator_and_the_counts() -> None:
    bad = [("a", Outcome.FAILED, "1 != 2"), ("b", Outcome.LOST, "gone"), ("c", Outcome.SKIPPED, "not here")]
    text = summary(run(row(_GOOD, *bad, known=facts()), row(_GOOD, target="x")))
    lines = text.splitlines()
    assert lines[0] == "### vmlab: fibdrv"
    (cells,) = [line.split(" | ") for line in lines if "debian12" in line and line.startswith("|")]
    assert cells[0] == "| ❌"
    assert [cell.replace("\\", "") for cell in cells[1:5]] == [
        "debian12-6.1",
        "6.1.0-56-cloud-amd64",
        "gcc-12 (Debian 12.2.0-14) 12.2.0",
        "tcg max",
    ]
    assert cells[5:] == ["1", "1", "1", "0", "1", "2 s |"]
    assert "| ✅ | x | - | - | - | 1 | 0 | 0 | 0 | 0 | 0 s |" in lines
    assert "debian12-6.1: 1 != 2  [a]" in lines
    assert len({line.count(" | ") for line in lines if line.startswith("| ")}) == 1


def test_a_target_that_was_unavailable_says_so_in_its_row() -> None:
    text = summary(run(row(("a", Outcome.UNAVAILABLE, "no such package"), target="x")))

    assert "| ❌ | x | unavailable | - | - | 0 | 0 | 0 | 1 | 0 | 0 s |" in text.splitlines()
    assert "x: UNAVAILABLE: no such package  [a]" in text.splitlines()


def test_what_is_missing_stands_first_and_what_is_to_be_known_last() -> None:
    text = summary(replace(run(row(_GOOD), notices=("guests are emulated",)), missing=("shard 2 of 3 is missing",)))
    assert text.splitlines()[2] == "**shard 2 of 3 is missing**"
    assert text.rstrip().endswith("- guests are emulated")


def test_a_shard_says_which_it_is() -> None:
    shard = ShardFacts(index=2, count=3, run="a", tests=1)
    assert "\nShard 2 of 3\n" in summary(replace(run(row(_GOOD)), shard=shard))


def test_text_cannot_leave_its_place() -> None:
    evil = "a | b <img src=x> `code` [link](http://x) ````\n# heading"
    text = summary(replace(run(row(("t", Outcome.FAILED, evil), target=evil)), module=evil, notices=(evil,)))
    for line in text.splitlines():
        if line.startswith(("| ", "###", "- ")):
            assert "<img" not in line.replace("\\<", "")
            assert "[link](" not in line
    fences = [line for line in text.splitlines() if line.startswith("`````")]
    assert len(fences) == 2
    assert not any(line.startswith("# heading") for line in text.splitlines())


def test_text_becomes_no_link_and_names_nobody() -> None:
    text = summary(run(row(), notices=("https://evil.example WWW.evil.example a@evil.example @octocat",)))

    (line,) = [line for line in text.splitlines() if line.startswith("- ")]
    assert not re.search(r"://|www\.|@\w", line, re.IGNORECASE)
    assert re.sub("<!-- -->", "", line).startswith("- https://evil.example WWW.evil")


def test_a_summary_that_would_be_refused_is_cut_to_its_table() -> None:
    tests = [(f"t{number}", Outcome.FAILED, "x" * 10**6) for number in range(3)]
    text = summary(run(row(*tests, known=facts())))
    assert len(text.encode()) <= MOST_BYTES
    assert "results.json has them" in text
    assert "6.1.0" in text.replace("\\", "")
