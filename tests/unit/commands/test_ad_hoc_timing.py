# SPDX-License-Identifier: MIT
"""`vmlab time`: arguments are checked before anything boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.commands.ad_hoc_timing import sizes_of
from vmlab.commands.main import main
from vmlab.errors import UsageError


def test_sizes_are_numbers_and_one_stands_for_an_operation_without() -> None:
    assert sizes_of("pread /dev/x {n} 3", "10, 1000") == (10, 1000)
    assert sizes_of("syscall", None) == (0,)


@pytest.mark.parametrize("text", ["", "a", "1,", "1,1", "-1", "1.5"])
def test_what_are_no_sizes_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match="--n must be 1 to 1000 different numbers, got"):
        sizes_of("loop {n}", text)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["loop {n}"], "contains {n}, but --n is missing"),
        (["syscall", "--n", "3"], "the operation does not contain {n}"),
        (["raed x"], "unknown operation 'raed'"),
        (["syscall", "--against", "/no/such/module"], "module directory '/no/such/module' does not exist"),
        (["syscall", "--vmlab-timing", "emulated-pmu"], "--vmlab-timing emulated-pmu is not possible"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_2(
    words: list[str], why: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # With an empty store, a run that continues would build an image.
    store = ["--vmlab-store", str(tmp_path), "--vmlab-mirror", "http://mirror.invalid/debian"]
    assert main(["time", *words, "--vmlab-target", "debian12-6.1", *store]) == 2
    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1
