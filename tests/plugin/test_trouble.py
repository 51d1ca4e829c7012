# SPDX-License-Identifier: MIT
"""Kernel reports during a test belong to that test: expected, known, or its failure."""

from __future__ import annotations

import textwrap

import pytest

from .inner import Inner

pytest_plugins = ["pytester"]

_WARNING = "kernel: WARNING: CPU: 0 PID: 94 at fibdrv_main.c:42"


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


def test_the_kernels_line_comes_before_the_command_that_it_ended(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_killed(guest):
            guest.succeed("splat")
            guest.succeed("echo false")
        """
    )
    result = inner.run()
    first = next(line for line in result.stdout.lines if line.startswith("E  "))
    assert _WARNING in first
    assert "; 'echo false' ended with status 1" in first
    assert result.stdout.str().count("and then") == 0
    (summary,) = [line for line in result.stdout.lines if line.startswith("FAILED ")]
    assert summary.count("WARNING: CPU: 0") <= 1
    (row,) = inner.result()["targets"]
    assert row["tests"]["test_killed"]["reason"].startswith("kernel: WARNING: CPU: 0")


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
    [("()", "guest", "needs an argument"), ("('')", "guest", "needs an argument"), ("('oops')", "", "uses no guest")],
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


def test_a_taint_that_a_test_announces_is_fine_and_replaces_the_shared_guest(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.mark.expect_taint("forced module")
        @pytest.mark.parametrize("number", range(6))
        def test_forced(shared_guest, number):
            assert shared_guest.succeed("guests") == str(number + 1)
            shared_guest.succeed("taint 2")

        @pytest.mark.expect_taint("forced module")
        def test_not_forced(shared_guest):
            pass

        @pytest.mark.expect_taint("forced modul")
        def test_misspelt(guest):
            pass
        """
    )
    result = inner.run()
    result.assert_outcomes(passed=6, failed=2)
    result.stdout.fnmatch_lines(
        ["*report 'taint: forced module' is missing*", "*unknown taint 'forced modul'; did you mean *"]
    )


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
    result.stdout.fnmatch_lines([f"*expected kernel report '{word}' is missing*"])
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
    result.stdout.fnmatch_lines(["*expired on 2020-01-01*", "*expired rules*"])


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


def test_what_a_compiler_said_is_shown_with_the_first_test_alone(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest
        from vmlab.errors import BuildError

        @pytest.fixture
        def refused(shared_guest):
            raise BuildError("read.c:7: undeclared", detail="make: *** the whole log")

        def test_one(refused):
            pass

        def test_other(refused):
            pass
        """
    )
    result = inner.run()
    result.assert_outcomes(errors=2)
    assert result.stdout.str().count("*** the whole log") == 1
    result.stdout.fnmatch_lines(["*(output shown with *::test_one*"])
    (row,) = inner.result()["targets"]
    assert {test["reason"] for test in row["tests"].values()} == {"read.c:7: undeclared"}
