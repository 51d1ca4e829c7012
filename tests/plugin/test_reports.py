# SPDX-License-Identifier: MIT
"""Output of a run: the table, the result file and the JUnit properties, without and with xdist workers."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from .inner import Inner

pytest_plugins = ["pytester"]

_TESTS = """
import pytest
from vmlab.timing.operation import Loop

def test_good(guest, stopwatch, series):
    series("fib", {1: stopwatch.measure(Loop(1))})

def test_bad(guest):
    assert 1 == 2

def test_splat(guest):
    guest.succeed("splat")

def test_lost(guest):
    guest.succeed("die")

@pytest.mark.skip(reason="not here")
def test_skipped(guest):
    pass

@pytest.mark.xfail(reason="known")
def test_known(guest):
    assert 1 == 2
"""
_OUTCOMES = {
    "test_good": "passed",
    "test_bad": "failed",
    "test_splat": "failed",
    "test_lost": "lost",
    "test_skipped": "skipped",
    "test_known": "skipped",
}
# `-n 2` alone starts workers like the outer run's; `-p xdist` is loaded by its entry point.
_ALONE_AND_WITH_WORKERS = pytest.mark.parametrize(
    "workers", [(), ("-n", "2", "--dist", "load")], ids=["alone", "two workers"]
)


@_ALONE_AND_WITH_WORKERS
def test_the_table_the_file_and_the_properties_agree(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all=_TESTS)
    result = inner.run(*workers, "--junitxml", "junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED

    assert inner.outcomes() == _OUTCOMES
    data = inner.result()
    (row,) = data["targets"]
    assert row["target"] == "debian12-6.1"
    assert row["facts"]["provenance"]["release"] == "6.1.0-56-cloud-amd64"
    assert [(series["name"], series["target"], series["source"]) for series in data["series"]] == [
        ("fib", "debian12-6.1+icount", "icount")
    ]
    assert data["module"] == "fibdrv"
    assert data["settings"]["target"] == "debian12-6.1 (--vmlab-target)"

    result.stdout.fnmatch_lines(
        [
            "*= kernels =*",
            "target * kernel * compiler * accel * image * passed * failed * skipped *",
            "debian12-6.1 * 6.1.0-56-cloud-amd64 * gcc-12 12.2.0 * tcg * cached * 1 * 2 +1 lost * 2 *",
            "debian12-6.1: *[[]all::test_*]",
            "results: *results.json",
        ]
    )

    properties = _properties(inner)
    assert set(properties) == set(_OUTCOMES)
    for name in ("test_good", "test_bad", "test_lost"):
        assert properties[name]["vmlab.target"] == "debian12-6.1"
        assert properties[name]["vmlab.kernel"] == "6.1.0-56-cloud-amd64"
        assert properties[name]["vmlab.accelerator"] == "tcg"
        assert properties[name]["vmlab.compiler"] == "gcc-12 (Debian 12.2.0-14) 12.2.0"
        assert properties[name]["vmlab.console"].startswith("console-")
    assert properties["test_lost"]["vmlab.outcome"] == "lost"
    assert "vmlab.outcome" not in properties["test_bad"]


def _properties(inner: Inner) -> dict[str, dict[str, str]]:
    """Test name to its JUnit properties; a duplicate property is an error."""
    found: dict[str, dict[str, str]] = {}
    for case in ElementTree.parse(inner.pytester.path / "junit.xml").iter("testcase"):
        pairs = [(item.get("name", ""), item.get("value", "")) for item in case.iter("property")]
        assert len(pairs) == len(dict(pairs)), f"{case.get('name')}: {pairs}"
        found[str(case.get("name")).partition("[")[0]] = dict(pairs)
    return found


@_ALONE_AND_WITH_WORKERS
def test_a_run_that_passes_is_green_and_says_so(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all="def test_good(guest): pass\n")
    result = inner.run(*workers, target="debian12-6.1,debian13-6.12")
    assert result.ret == pytest.ExitCode.OK
    assert [row["target"] for row in inner.result()["targets"]] == ["debian12-6.1", "debian13-6.12"]
    result.stdout.fnmatch_lines(["*2 passed*"])


def test_naming_a_target_and_selecting_nothing_does_not_pass_with_workers_either(inner: Inner) -> None:
    inner.tests(all="def test_good(guest): pass\n")
    assert inner.run("-n", "2", "-k", "nothing").ret != pytest.ExitCode.OK


def test_a_disk_that_refuses_the_result_file_is_told_and_does_not_hide_the_table(inner: Inner) -> None:
    inner.tests(all="def test_good(guest): pass\n")
    (inner.pytester.path / "file").write_text("")
    result = inner.run("--vmlab-report", "file/report")
    result.stdout.fnmatch_lines(["*= kernels =*", "debian12-6.1 *", "vmlab: *"])
    assert "INTERNALERROR" not in result.stdout.str()


def test_a_run_of_other_tests_prints_no_table(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_sum():\n    assert 1 + 1 == 2\n")
    result = pytester.runpytest_inprocess()
    assert "kernels" not in result.stdout.str()
    assert not (pytester.path / "build").exists()


_BROKEN = """
import pytest
from vmlab.errors import BuildError, KernelTrouble

@pytest.fixture
def unbuilt(guest):
    error = BuildError("fibdrv does not build: read.c:7: broken")
    error.source = "read.c:7"
    raise error

@pytest.fixture
def warned(guest):
    error = KernelTrouble("kernel: WARNING")
    error.source, error.fingerprint = "write.c:9", "01234567"
    raise error

def test_unbuilt(unbuilt): pass
def test_warned(warned): pass
"""


@_ALONE_AND_WITH_WORKERS
def test_where_a_fault_lies_is_kept_also_when_a_fixture_met_it(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all=_BROKEN)
    inner.run(*workers, "--junitxml", "junit.xml")
    (row,) = inner.result()["targets"]
    told = {name.partition("[")[0]: (test["source"], test["fingerprint"]) for name, test in row["tests"].items()}
    assert told == {"test_unbuilt": ("read.c:7", ""), "test_warned": ("write.c:9", "01234567")}
    properties = _properties(inner)
    assert properties["test_unbuilt"]["vmlab.source"] == "read.c:7"
    assert properties["test_warned"]["vmlab.fingerprint"] == "01234567"


def test_the_log_of_a_failed_build_is_kept_and_named(inner: Inner) -> None:
    inner.tests(all=_BROKEN.replace("    error.source", '    error.output = "all of it"\n    error.source', 1))

    result = inner.run("-k", "unbuilt")

    kept = inner.pytester.path / "build" / "vmlab" / "builds" / "debian12-6.1.log"
    assert kept.read_text() == "all of it"
    assert f"the whole output: {kept}" in result.stdout.str()


@_ALONE_AND_WITH_WORKERS
def test_the_table_names_the_line_of_a_failed_assertion(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all="def test_sum(guest):\n    assert 1 + 1 == 3\n")

    result = inner.run(*workers)

    (row,) = inner.result()["targets"]
    assert row["tests"]["test_sum"]["place"] == "test_all.py:2"
    result.stdout.fnmatch_lines(["debian12-6.1: *assert (1 + 1) == 3 at test_all.py:2 *"])


_REPORTED = """
import pytest

def test_quiet(guest):
    guest.succeed("true")

def test_trouble(guest):
    guest.succeed("splat")

@pytest.mark.expect_splat("WARNING")
def test_expected(guest):
    guest.succeed("splat")
    guest.succeed("splat")
"""


@_ALONE_AND_WITH_WORKERS
def test_the_result_file_and_junit_have_every_report_of_the_kernel(inner: Inner, workers: tuple[str, ...]) -> None:
    inner.tests(all=_REPORTED)

    inner.run(*workers, "--junitxml", "junit.xml")

    (row,) = inner.result()["targets"]
    tests = {name.partition("[")[0]: test for name, test in row["tests"].items()}
    splats = {name: test["splats"] for name, test in tests.items()}
    standings = {name: [splat["standing"] for splat in found] for name, found in splats.items()}
    assert standings == {"test_quiet": [], "test_trouble": ["trouble"], "test_expected": ["expected"] * 2}
    (splat,) = splats["test_trouble"]
    assert (splat["kind"], splat["module"], splat["location"]) == ("WARNING", "fibdrv", "fibdrv_main.c:42")
    assert splat["fingerprint"] == tests["test_trouble"]["fingerprint"]
    properties = _properties(inner)
    assert json.loads(properties["test_expected"]["vmlab.splats"]) == splats["test_expected"]
    assert "vmlab.splats" not in properties["test_quiet"]


def test_a_report_that_is_allowed_is_in_the_result_file(inner: Inner) -> None:
    rules = inner.pytester.path / "known.toml"
    allowed = 'kind = "WARNING"\ntext = "fib_read"\nreason = "it warns"\nlink = "https://example.org/1"\n'
    rules.write_text(f"[[allow]]\n{allowed}expires = 2999-01-01\n")
    inner.tests(all="def test_warns(guest):\n    guest.succeed('splat')\n")

    inner.run("--vmlab-known-splats", str(rules))

    (row,) = inner.result()["targets"]
    (test,) = row["tests"].values()
    assert (test["outcome"], [splat["standing"] for splat in test["splats"]]) == ("passed", ["allowed"])
    (told,) = [notice for notice in inner.result()["notices"] if notice.startswith("known splats of ")]
    assert told == f"known splats of {rules} (--vmlab-known-splats): 1 kernel reports allowed"
