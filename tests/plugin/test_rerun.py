# SPDX-License-Identifier: MIT
"""A test whose guest the emulator broke is rerun once, and has one outcome."""

from __future__ import annotations

import json

import pytest

from vmlab.report.model import LOST_STATUS

from .inner import Inner

pytest_plugins = ["pytester"]

_STALE = """
def test_stale({guest}):
    {guest}.succeed("stale {times}")

def test_next({guest}):
    pass
"""


@pytest.mark.parametrize("guest", ["guest", "shared_guest", "booted_guest"])
def test_a_test_that_the_emulator_broke_passes_in_a_fresh_guest(inner: Inner, guest: str) -> None:
    inner.tests(all=_STALE.format(guest=guest, times=1))

    result = inner.run("--junitxml=junit.xml")

    assert result.ret == pytest.ExitCode.OK
    assert inner.outcomes() == {"test_stale": "passed", "test_next": "passed"}
    result.stdout.fnmatch_lines(["note: test_stale*: retried in a fresh guest: *at __schedule+0x1be: 0f 1f 44 00 00"])
    assert (inner.pytester.path / "junit.xml").read_text().count("<testcase ") == 2


def test_a_test_that_the_emulator_breaks_twice_is_lost(inner: Inner) -> None:
    inner.tests(all=_STALE.format(guest="guest", times=2))

    result = inner.run()

    assert result.ret == LOST_STATUS
    assert inner.outcomes() == {"test_stale": "lost", "test_next": "passed"}


def test_an_assertion_that_failed_over_the_emulators_fault_is_no_failure(inner: Inner) -> None:
    inner.tests(all="def test_stale(guest):\n    assert guest.succeed('stale 1; true') == '7'\n".replace("; true", ""))

    result = inner.run()

    assert inner.outcomes() == {"test_stale": "failed"}
    result.stdout.fnmatch_lines(["E *assert '' == '7'*"])


def test_a_run_side_by_side_counts_a_rerun_test_once(inner: Inner) -> None:
    inner.tests(all=_STALE.format(guest="guest", times=1))

    result = inner.run("-n", "1")

    assert result.ret == pytest.ExitCode.OK
    (row,) = json.loads((inner.pytester.path / "build/vmlab/results.json").read_text())["targets"]
    assert sorted(test["outcome"] for test in row["tests"]) == ["passed", "passed"]


def test_a_test_that_fails_and_then_loses_its_guest_has_failed_alone(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.fixture
        def tidy(guest):
            yield guest
            guest.succeed("die")

        def test_wrong(tidy):
            assert 1 == 2
        """
    )

    result = inner.run()

    result.assert_outcomes(failed=1)
    assert "lost" not in result.stdout.str().splitlines()[-1]
    assert inner.outcomes() == {"test_wrong": "failed"}


def test_a_test_that_loses_its_guest_and_meets_it_again_is_lost_once(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.fixture
        def tidy(guest):
            yield guest
            guest.succeed("true")

        def test_lost(tidy):
            tidy.succeed("die")
        """
    )

    result = inner.run()

    assert "= 1 lost in" in result.stdout.str().splitlines()[-1]
