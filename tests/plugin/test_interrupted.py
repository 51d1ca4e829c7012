# SPDX-License-Identifier: MIT
"""An interrupted run: known results are written, unknown ones do not count as passed, and another run's results are
never used instead."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from .inner import Inner

pytest_plugins = ["pytester"]

# Ctrl-C as pytest itself sees it; an xdist worker is then ended by its controller.
_CTRL_C = """
import os, signal, pytest

def ctrl_c():
    os.kill(os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid(), signal.SIGINT)
    signal.pause()
"""
_IN_THE_CALL = f"""{_CTRL_C}
def test_before(guest): pass

def test_interrupted(guest):
    ctrl_c()

def test_after(guest): pass
"""
_IN_A_FIXTURE = f"""{_CTRL_C}
@pytest.fixture
def slow(guest):
    ctrl_c()

def test_interrupted(slow): pass
def test_after(guest): pass
"""
_ALONE_AND_WITH_A_WORKER = pytest.mark.parametrize(
    "workers", [(), ("-n", "1", "--dist", "load")], ids=["alone", "a worker"]
)


def _earlier(inner: Inner) -> Path:
    """The result file of an earlier run."""
    file = inner.pytester.path / "build" / "vmlab" / "results.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("of an earlier run")
    return file


def _run(inner: Inner, *arguments: str) -> pytest.RunResult:
    # A subprocess, because in this process the interrupt would hit the outer run.
    return inner.pytester.runpytest_subprocess("-p", "no:cacheprovider", "--vmlab-target", "debian12-6.1", *arguments)


@_ALONE_AND_WITH_A_WORKER
def test_the_test_that_was_interrupted_has_not_passed(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all=_IN_THE_CALL)
    _earlier(inner)
    result = _run(inner, *workers)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert inner.outcomes() == {"test_before": "passed", "test_interrupted": "not run"}
    (notice,) = (line for line in inner.result()["notices"] if "interrupted" in line)
    assert notice.startswith("the run was interrupted")
    assert notice.endswith("and is incomplete: 2 of its 3 tests with a guest did not finish")
    result.stdout.fnmatch_lines(["debian12-6.1 * 1 * 0 +1 not run * 0 *", "note: the run was interrupted*"])


@_ALONE_AND_WITH_A_WORKER
def test_interrupted_in_the_fixture_of_its_first_test_a_run_leaves_no_result_of_another(
    inner: Inner, workers: tuple[str, ...]
) -> None:
    inner.tests(all=_IN_A_FIXTURE)
    _earlier(inner)
    assert _run(inner, *workers).ret == pytest.ExitCode.INTERRUPTED
    assert inner.outcomes() == {"test_interrupted": "not run"}
    (row,) = inner.result()["targets"]
    assert [test["reason"] for test in row["tests"].values()] == ["the run was interrupted in this test"]


def test_the_junit_xml_has_no_test_without_a_name(inner: Inner) -> None:
    inner.tests(all=_IN_THE_CALL)
    _run(inner, "--junitxml", "junit.xml")
    cases = ElementTree.parse(inner.pytester.path / "junit.xml").iter("testcase")
    assert [case.get("name") for case in cases] == ["test_before[debian12-6.1]"]


_KILLED = "import os, signal\ndef test_killed(guest): os.kill(os.getpid(), signal.SIGKILL)\n"


def test_a_run_that_is_killed_leaves_nothing_of_the_one_before(inner: Inner) -> None:
    inner.tests(all=_KILLED)
    file = _earlier(inner)
    xml, elsewhere = file.with_name("junit.xml"), inner.pytester.path / "junit.xml"
    for one in (xml, elsewhere):
        one.write_text("of an earlier run")
    _run(inner, "--junitxml", str(xml))
    assert list(file.parent.glob("*.*")) == []
    _earlier(inner)
    _run(inner, "--junitxml", str(elsewhere))
    assert not file.exists()
    # Files outside the report directory belong to pytest and stay.
    assert elsewhere.read_text() == "of an earlier run"


@pytest.mark.parametrize(
    "arguments",
    [("--collect-only",), ("-k", "no_such_test"), ("-n", "1", "-k", "no_such_test"), ("--vmlab-module", "nowhere")],
    ids=["collect only", "nothing selected", "nothing selected, with a worker", "wrong usage"],
)
def test_a_run_that_starts_no_test_takes_nothing_away(inner: Inner, arguments: tuple[str, ...]) -> None:
    inner.tests(all=_IN_THE_CALL)
    file = _earlier(inner)
    _run(inner, *arguments)
    assert file.read_text() == "of an earlier run"


def test_a_run_without_a_guest_takes_nothing_away(inner: Inner) -> None:
    inner.tests(all="def test_sum(): assert 1 + 1 == 2\n")
    file = _earlier(inner)
    inner.pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)
    assert file.read_text() == "of an earlier run"


def test_a_run_that_ends_with_its_first_failure_says_so_where_tests_are_left(inner: Inner) -> None:
    inner.tests(all="def test_bad(guest): assert 0\ndef test_after(guest): pass\n")
    inner.run("-x")
    (notice,) = (line for line in inner.result()["notices"] if "interrupted" in line)
    assert notice == (
        "the run was interrupted (stopping after 1 failures) and is incomplete: "
        "1 of its 2 tests with a guest did not finish"
    )
    inner.run("-x", "-k", "bad")
    assert not [line for line in inner.result()["notices"] if "interrupted" in line]


def test_a_test_that_is_only_set_up_has_not_passed(inner: Inner) -> None:
    inner.tests(all="def test_good(guest): pass\n")
    file = _earlier(inner)
    inner.run("--setup-only")
    assert not file.exists()


def test_a_result_that_cannot_be_taken_away_is_told(inner: Inner) -> None:
    inner.tests(all="def test_good(guest): pass\n")
    (inner.pytester.path / "build" / "vmlab" / "results.json" / "in_the_way").mkdir(parents=True)
    inner.run().stdout.fnmatch_lines(["note: cannot remove the results of an earlier run: *"])
