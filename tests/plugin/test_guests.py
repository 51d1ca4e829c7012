# SPDX-License-Identifier: MIT
"""What happens to tests and guests when a kernel reports trouble or goes away."""

from __future__ import annotations

import textwrap
from xml.etree import ElementTree

import pytest

from vmlab.plugin.accounting import LOST_STATUS

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


def test_a_report_in_a_fixture_is_held_against_the_test_that_wanted_it(inner: Inner) -> None:
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
    inner.run().assert_outcomes(failed=1)


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
    reason = "3 tests in a row lost their machine, first by: the guest was lost during 'die'"
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


def test_a_report_that_the_ring_lost_is_found_on_the_console(inner: Inner) -> None:
    inner.tests(all="def test_flood(guest):\n    guest.succeed('flood')\n")
    result = inner.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*records of the kernel log were overwritten before they were read*"])
    assert _WARNING in result.stdout.str()


def test_a_report_in_a_fixtures_teardown_is_an_error_of_that_test(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.fixture
        def noisy(shared_guest):
            yield shared_guest
            shared_guest.succeed("splat")

        def test_quiet(noisy):
            pass

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "2"
        """
    )
    inner.run().assert_outcomes(passed=2, errors=1)


def test_a_skip_does_not_hide_a_report(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        def test_skipped(guest):
            guest.succeed("splat")
            pytest.skip("not today")
        """
    )
    inner.run().assert_outcomes(failed=1)


@pytest.mark.parametrize("word", ["WARNING", "fibdrv_main.c:42"])
def test_a_report_that_a_test_provokes_on_purpose_is_fine(inner: Inner, word: str) -> None:
    inner.tests(
        all=f"""
        import pytest

        @pytest.mark.expect_splat("{word}")
        def test_provoked(guest):
            guest.succeed("splat")
            guest.succeed("taint 512")
        """
    )
    inner.run().assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "argument", "words"),
    [("()", "guest", "needs a word"), ("('')", "guest", "needs a word"), ("('oops')", "", "uses no guest")],
)
def test_a_marker_that_nothing_could_fail_is_refused(inner: Inner, marker: str, argument: str, words: str) -> None:
    inner.tests(
        all=f"""
        import pytest

        @pytest.mark.expect_splat{marker}
        def test_marked({argument}):
            pass

        def test_other(guest):
            pass
        """
    )
    result = inner.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines([f"expect_splat *{words}*"])


def test_provoking_reports_on_purpose_gives_no_target_up(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest
        from vmlab.errors import MachineLost

        @pytest.mark.expect_splat("WARNING")
        @pytest.mark.parametrize("number", range(6))
        def test_provoked(shared_guest, number):
            assert shared_guest.succeed("guests") == str(number + 1)
            shared_guest.succeed("splat")

        @pytest.mark.expect_splat("panic")
        @pytest.mark.parametrize("number", range(6))
        def test_panics(shared_guest, number):
            with pytest.raises(MachineLost):
                shared_guest.succeed("panic")
        """
    )
    inner.run().assert_outcomes(passed=12)


@pytest.mark.parametrize("word", ["oops", "fibdrv_main.c:43"])
def test_an_expected_report_must_occur_and_covers_no_other(inner: Inner, word: str) -> None:
    inner.tests(
        all=f"""
        import pytest

        @pytest.mark.expect_splat("{word}")
        def test_silent(guest):
            pass

        @pytest.mark.expect_splat("{word}")
        def test_other(guest):
            guest.succeed("splat")
        """
    )
    result = inner.run()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines([f"*the kernel was to report '{word}' and did not*"])
    assert _WARNING in result.stdout.str()


def test_a_panic_may_be_expected_where_the_loss_of_the_machine_is(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest
        from vmlab.errors import MachineLost

        @pytest.mark.expect_splat("panic")
        def test_panic(guest):
            with pytest.raises(MachineLost):
                guest.succeed("panic")
        """
    )
    inner.run().assert_outcomes(passed=1)


def test_a_known_report_passes_until_its_entry_expires(inner: Inner) -> None:
    inner.tests(all="def test_known(guest):\n    guest.succeed('splat')\n")
    entry = """
        [[allow]]
        kind = "WARNING"
        text = "fib_read"
        reason = "it warns, and that is all"
        link = "https://example.org/1"
        since = "5.10"
        until = "6.1"
        expires = {}
        """
    rules = inner.pytester.path / "known.toml"
    rules.write_text(textwrap.dedent(entry.format("2999-01-01")))
    inner.run("--vmlab-known-splats", str(rules)).assert_outcomes(passed=1)
    rules.write_text(textwrap.dedent(entry.format("2020-01-01")))
    result = inner.run("--vmlab-known-splats", str(rules))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*expired on 2020-01-01*", "*rules out of date*"])


def test_a_rule_out_of_date_fails_a_run_in_which_all_is_quiet(inner: Inner) -> None:
    inner.tests(all="def test_quiet(guest):\n    pass\n")
    rules = inner.pytester.path / "known.toml"
    rules.write_text('[[allow]]\nkind = "WARNING"\ntext = "x"\nreason = "r"\nlink = "l"\nexpires = 2020-01-01\n')
    assert inner.run("--vmlab-known-splats", str(rules)).ret == pytest.ExitCode.TESTS_FAILED


def test_a_command_over_its_limit_is_a_failure_and_dirties_a_shared_guest(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_hangs(shared_guest):
            shared_guest.succeed("hang", timeout_s=1)

        def test_next(shared_guest):
            assert shared_guest.succeed("guests") == "2"
        """
    )
    result = inner.run()
    assert inner.outcomes() == {"test_hangs": "failed", "test_next": "passed"}
    result.stdout.fnmatch_lines(["*'hang' took longer than 1 s; the guest still answers*"])


def test_equal_failures_read_as_one_with_their_fingerprint(inner: Inner) -> None:
    inner.tests(all="\n".join(f"def test_{number}(guest):\n    guest.succeed('splat')\n" for number in range(3)))
    result = inner.run()
    assert len({test["fingerprint"] for test in inner.result()["targets"][0]["tests"].values()}) == 1
    result.stdout.fnmatch_lines(["debian12-6.1: kernel: WARNING: * ([0-9a-f]*)  [[]*::test_0 and 2 more]"])


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
    assert counts == {"vmlab.failed": "1", "vmlab.lost": "3", "vmlab.not_run": "1"}
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


def test_an_unexpected_taint_fails_its_test_and_replaces_the_shared_guest(inner: Inner) -> None:
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
    result = inner.run()
    assert inner.outcomes() == {"test_expected": "passed", "test_unexpected": "failed", "test_next": "passed"}
    result.stdout.fnmatch_lines(["*the kernel is tainted: warning*"])


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
