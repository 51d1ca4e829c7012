# SPDX-License-Identifier: MIT
"""Lost machines and abandoned targets are distinct from failures in every report."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from vmlab.plugin.accounting import exit_status
from vmlab.report.model import LOST_STATUS, NOT_RUN_STATUS, UNAVAILABLE_STATUS, Outcome

from .inner import Inner

pytest_plugins = ["pytester"]


_LOST_IN = {
    "test": """
        def test_lost(shared_guest):
            shared_guest.succeed("die")
        """,
    "fixture": """
        import pytest

        @pytest.fixture
        def deadly(shared_guest):
            shared_guest.succeed("die")

        def test_lost(deadly):
            pass
        """,
    "teardown": """
        import pytest

        @pytest.fixture
        def deadly(shared_guest):
            yield
            shared_guest.succeed("die")

        def test_lost(deadly):
            pass
        """,
    "booted guest": """
        def test_lost(booted_guest):
            booted_guest.succeed("die")
        """,
    "unnoticed": """
        import contextlib

        def test_lost(shared_guest):
            with contextlib.suppress(Exception):
                shared_guest.succeed("die")
        """,
}


@pytest.mark.parametrize("place", list(_LOST_IN))
def test_a_lost_machine_is_no_failed_test_and_no_passed_run(inner: Inner, place: str) -> None:
    inner.tests(
        all=_LOST_IN[place], next="def test_next(shared_guest):\n    assert shared_guest.succeed('guests') == '2'\n"
    )
    result = inner.run()
    assert result.ret == LOST_STATUS
    assert inner.outcomes() == {"test_lost": "lost", "test_next": "passed"}
    summary = result.outlines[-1]
    assert "1 lost" in summary
    assert "failed" not in summary
    result.stdout.fnmatch_lines(["*--- console, last lines ---*", "LOST *test_lost* - the guest was lost during *"])


def test_a_target_whose_shared_guest_breaks_again_and_again_is_given_up(inner: Inner) -> None:
    lines = [f"def test_{number}(shared_guest):\n    shared_guest.succeed('splat')\n" for number in range(6)]
    inner.tests(all="\n".join(lines))
    result = inner.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert list(inner.outcomes().values()) == ["failed"] * 4 + ["not run"] * 2
    assert "4 failed" in result.outlines[-1]
    assert "2 not run" in result.outlines[-1]
    (row,) = inner.result()["targets"]
    assert "was given up: its guest broke 4 times" in row["tests"]["test_5"]["reason"]


@pytest.mark.parametrize("name", ["guest", "shared_guest"])
def test_a_target_that_loses_three_tests_in_a_row_is_broken_and_the_first_cause_is_told(
    inner: Inner, name: str
) -> None:
    lines = [f"def test_{number}({name}):\n    {name}.succeed('die')\n" for number in range(5)]
    inner.tests(all="\n".join(lines))
    result = inner.run()
    assert result.ret == LOST_STATUS
    assert list(inner.outcomes().values()) == ["lost"] * 3 + ["not run"] * 2
    (row,) = inner.result()["targets"]
    reason = "3 tests in a row lost their machine; first: the guest was lost during 'die'"
    assert reason in row["tests"]["test_4"]["reason"]
    result.stdout.fnmatch_lines(["NOT RUN *test_4* - *is broken*"])


def test_a_test_that_holds_in_between_keeps_a_target_from_being_broken(inner: Inner) -> None:
    acts = ("die", "die", "true", "die", "die")
    lines = [f"def test_{number}(guest):\n    guest.succeed('{act}')\n" for number, act in enumerate(acts)]
    inner.tests(all="\n".join(lines))
    inner.run()
    assert list(inner.outcomes().values()) == ["lost", "lost", "passed", "lost", "lost"]


def test_a_failure_beside_a_loss_makes_the_run_a_failed_one(inner: Inner) -> None:
    inner.tests(all="def test_die(guest):\n    guest.run('die')\n\ndef test_wrong(guest):\n    assert 1 == 2\n")
    assert inner.run().ret == pytest.ExitCode.TESTS_FAILED


def test_a_panic_is_the_tests_failure_and_no_lost_machine(inner: Inner) -> None:
    inner.tests(all="def test_panic(guest):\n    guest.succeed('panic')\n")
    result = inner.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert inner.outcomes() == {"test_panic": "failed"}
    result.stdout.fnmatch_lines(["*Kernel panic - not syncing: fibdrv: out of order", "*and then: the guest was lost*"])


def test_junit_keeps_failed_lost_and_not_run_apart(inner: Inner) -> None:
    inner.tests(
        all="\n".join(
            f"def test_{number}(guest):\n    guest.run('{act}')\n"
            for number, act in enumerate(("splat", "die", "die", "die", "true"))
        )
    )
    inner.run("--junitxml=junit.xml")
    suite = ElementTree.parse(inner.pytester.path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    counts = {item.get("name"): item.get("value") for item in suite.findall("properties/property")}
    assert counts == {"vmlab.failed": "1", "vmlab.lost": "3", "vmlab.not_run": "1", "vmlab.unavailable": "0"}
    assert (suite.get("failures"), suite.get("errors")) == ("1", "4")
    # A fork's console, by the test that failed in it.
    consoles = [item.get("value") for item in suite.iter("property") if item.get("name") == "vmlab.console"]
    assert consoles[:2] == ["console-1.log", "console-2.log"]
    types = [fault.get("type") for fault in suite.iter("error")]
    assert types == ["vmlab.MachineLost"] * 3 + ["vmlab.NotRun"]


def test_one_target_that_is_given_up_leaves_the_others_alone(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.mark.parametrize("number", range(5))
        def test_deadly(shared_guest, target, number):
            if target.line == "6.1":
                shared_guest.succeed("die")
        """
    )
    inner.run(target="debian12-6.1,debian13-6.12")
    rows = {row["target"]: [test["outcome"] for test in row["tests"].values()] for row in inner.result()["targets"]}
    assert rows == {"debian12-6.1": ["lost"] * 3 + ["not run"] * 2, "debian13-6.12": ["passed"] * 5}


@pytest.mark.parametrize(
    ("status", "outcomes", "is_faulty", "expected"),
    [
        (0, [], False, 0),
        (0, [], True, 1),
        (1, ["lost"], False, LOST_STATUS),
        (1, ["lost", "not run"], False, LOST_STATUS),
        (1, ["not run"], False, NOT_RUN_STATUS),
        (1, ["unavailable"], False, UNAVAILABLE_STATUS),
        (1, ["unavailable", "not run"], False, NOT_RUN_STATUS),
        (1, ["unavailable", "lost"], False, LOST_STATUS),
        (1, ["unavailable", "failed"], False, 1),
        (1, ["unavailable"], True, 1),
        (1, ["lost", "failed"], False, 1),
        (1, ["lost"], True, 1),
        (1, [], False, 1),
        (2, ["lost"], False, 2),
        (5, [], True, 5),
    ],
)
def test_the_exit_status_is_that_of_the_worst(status: int, outcomes: list[str], is_faulty: bool, expected: int) -> None:
    assert exit_status(status, [Outcome(word) for word in outcomes], is_faulty=is_faulty) == expected


def test_what_cannot_be_collected_is_no_lost_machine(inner: Inner) -> None:
    inner.tests(all="def test_lost(guest):\n    guest.run('die')\n", broken="import nothing_of_that_name\n")
    result = inner.run("--continue-on-collection-errors")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "1 lost" in result.outlines[-1]
