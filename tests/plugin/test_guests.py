# SPDX-License-Identifier: MIT
"""What happens to tests and guests when a kernel reports trouble or goes away."""

from __future__ import annotations

import pytest

from .inner import Inner

pytest_plugins = ["pytester"]

_WARNING = "kernel: WARNING: CPU: 0 PID: 94 at fibdrv_main.c:42"


def test_a_guest_is_shared_by_the_tests_of_its_target(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_first(shared_guest):
            assert shared_guest.succeed("guests") == "1"

        def test_second(shared_guest):
            assert shared_guest.succeed("guests") == "1"
        """
    )
    result = inner.run()
    assert result.ret == pytest.ExitCode.OK
    result.assert_outcomes(passed=2)


def test_a_booted_guest_is_its_tests_alone(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_first(booted_guest):
            assert booted_guest.succeed("guests") == "1"

        def test_second(booted_guest):
            assert booted_guest.succeed("guests") == "2"
        """
    )
    assert inner.run().ret == pytest.ExitCode.OK


@pytest.mark.parametrize("name", ["guest", "shared_guest", "booted_guest"])
def test_a_splat_fails_a_test_that_would_have_passed(inner: Inner, name: str) -> None:
    inner.tests(all=f"def test_splat({name}):\n    {name}.succeed('splat')\n")
    result = inner.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(failed=1)
    (row,) = inner.result()["targets"]
    (test,) = row["tests"].values()
    assert test["outcome"] == "failed"
    assert _WARNING in test["reason"]
    assert _WARNING in result.stdout.str()


def test_a_guest_with_a_splat_is_replaced_for_the_next_test(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_splat(shared_guest):
            shared_guest.succeed("splat")

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "2"
        """
    )
    inner.run().assert_outcomes(failed=1, passed=1)


def test_a_splat_before_a_test_is_not_held_against_it(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.fixture
        def noisy(shared_guest):
            shared_guest.succeed("splat")
            return shared_guest

        def test_after_noise(noisy):
            pass
        """
    )
    # What a fixture provoked is not the test's; that it is reported at all is the fixtures' own business.
    result = inner.run()
    assert result.ret in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)


def test_a_failed_test_tells_what_the_kernel_said_meanwhile(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_wrong(shared_guest):
            shared_guest.succeed("splat")
            assert 1 == 2

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "2"
        """
    )
    result = inner.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*assert 1 == 2*", "*kernel log*", "*WARNING: CPU: 0 PID: 94*"])
    (row,) = inner.result()["targets"]
    assert row["tests"]["test_wrong"]["reason"].startswith("kernel: WARNING: CPU: 0")


def test_a_failed_test_on_a_quiet_kernel_keeps_its_guest(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_wrong(shared_guest):
            assert 1 == 2

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "1"
        """
    )
    inner.run().assert_outcomes(failed=1, passed=1)
    (row,) = inner.result()["targets"]
    assert "assert 1 == 2" in row["tests"]["test_wrong"]["reason"]


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
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert inner.outcomes() == {"test_lost": "lost", "test_next": "passed"}
    summary = result.outlines[-1]
    assert "1 lost" in summary
    assert "failed" not in summary
    result.stdout.fnmatch_lines(["*Kernel panic - not syncing*"])


def test_a_target_whose_guests_break_again_and_again_is_given_up(inner: Inner) -> None:
    lines = [f"def test_{number}(shared_guest):\n    shared_guest.succeed('die')\n" for number in range(6)]
    inner.tests(all="\n".join(lines))
    result = inner.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert list(inner.outcomes().values()) == ["lost"] * 4 + ["not run"] * 2
    assert "4 lost" in result.outlines[-1]
    assert "2 not run" in result.outlines[-1]
    (row,) = inner.result()["targets"]
    assert "was given up: its guest broke 4 times" in row["tests"]["test_5"]["reason"]


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
    assert rows == {"debian12-6.1": ["lost"] * 4 + ["not run"], "debian13-6.12": ["passed"] * 5}


def test_each_test_has_a_guest_of_its_own(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_first(guest):
            assert guest.succeed("guests") == "1"
            guest.succeed("splat")

        def test_second(guest):
            assert guest.succeed("guests") == "2"

        def test_third(guest):
            guest.succeed("die")

        def test_fourth(guest):
            assert guest.succeed("start") == "forked ready"
        """
    )
    inner.run()
    assert inner.outcomes() == {
        "test_first": "failed",
        "test_second": "passed",
        "test_third": "lost",
        "test_fourth": "passed",
    }


@pytest.mark.parametrize(
    ("fixtures", "start"),
    [
        ("guest", "forked ready"),
        ("guest, module", "forked built"),
        ("guest, loaded_module", "forked loaded"),
        ("shared_guest", "forked ready"),
        ("shared_guest, loaded_module", "forked loaded"),
        ("booted_guest, module", "booted"),
    ],
)
def test_a_guest_starts_from_the_latest_snapshot_that_its_fixtures_ask_for(
    inner: Inner, fixtures: str, start: str
) -> None:
    name = fixtures.partition(",")[0]
    inner.tests(
        all=f"""
        import pytest

        @pytest.fixture
        def module():
            return None

        @pytest.fixture
        def loaded_module(module):
            return None

        def test_start({fixtures}):
            assert {name}.succeed("start") == "{start}"
        """
    )
    inner.run().assert_outcomes(passed=1)


def test_any_guest_is_a_booted_one_and_then_a_forked_one(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_start(any_guest, vmlab_start):
            assert any_guest.succeed("start").startswith(vmlab_start)
        """
    )
    result = inner.run("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*test_start[[]debian12-6.1-booted]*", "*test_start[[]debian12-6.1-forked]*"])


def test_an_unexpected_taint_replaces_the_shared_guest_and_fails_nobody(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_expected(shared_guest):
            shared_guest.succeed("taint 12288")

        def test_unexpected(shared_guest):
            assert shared_guest.succeed("guests") == "1"
            shared_guest.succeed("taint 12800")

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "2"
        """
    )
    inner.run().assert_outcomes(passed=3)


def test_a_failing_tests_guest_is_kept_and_the_way_in_is_said(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_wrong(guest):
            assert 1 == 2

        def test_shared(shared_guest):
            assert 1 == 2

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "3"
        """
    )
    result = inner.run("--vmlab-keep")
    result.assert_outcomes(failed=2, passed=1)
    result.stdout.fnmatch_lines(["note: test_wrong* failed, and its guest was kept: vmlab shell kept-4711"])


def test_a_guest_that_nobody_gets_into_is_not_kept_and_its_console_is_named(inner: Inner) -> None:
    inner.tests(all="def test_dies(guest):\n    guest.succeed('die')\n")
    result = inner.run("--vmlab-keep")
    result.stdout.fnmatch_lines(
        ["note: test_dies*: its guest was not kept: the kernel panicked: *; console: console-1.log"]
    )


def test_a_guest_is_not_kept_unless_asked(inner: Inner) -> None:
    inner.tests(all="def test_wrong(guest):\n    assert 1 == 2\n")
    assert "was kept" not in inner.run().stdout.str()
