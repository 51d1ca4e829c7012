# SPDX-License-Identifier: MIT
"""Selection, replacement and keeping of a test's guest."""

from __future__ import annotations

import pytest

from .inner import Inner

pytest_plugins = ["pytester"]


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
        ("guest, modules", "forked built"),
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
        def modules():
            return None

        @pytest.fixture
        def loaded_module(module):
            return None

        def test_start({fixtures}):
            assert {name}.succeed("start") == "{start}"
        """
    )
    inner.run().assert_outcomes(passed=1)


def test_a_test_with_parameters_loads_the_module_itself(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.fixture
        def loaded_module():
            return None

        @pytest.mark.module_parameters(limit=3)
        def test_start(guest, loaded_module):
            assert guest.succeed("start") == "forked built"
        """
    )

    inner.run().assert_outcomes(passed=1)


@pytest.mark.parametrize(("name", "outcome"), [("limit", "passed"), ("limt", "errors")])
def test_a_parameter_that_the_module_lacks_is_an_error(inner: Inner, name: str, outcome: str) -> None:
    inner.tests(
        all=f"""
        import pytest
        from types import SimpleNamespace
        from vmlab.plugin.fixtures import parameters_of

        @pytest.fixture
        def parameters(request):
            info = SimpleNamespace(name="fib", parameters={{"limit": "int"}})
            return parameters_of(request.node, SimpleNamespace(info=info))

        @pytest.mark.module_parameters({name}=3)
        def test_parameters(guest, parameters):
            assert parameters == {{"limit": 3}}
        """
    )

    inner.run().assert_outcomes(**{outcome: 1})


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


def test_perf_is_a_skip_with_its_cause_where_the_kernel_has_none(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_counts(guest, perf_access):
            perf_access(level=2)
        """
    )
    result = inner.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*the guest's kernel has no perf: /proc/sys/kernel/perf_event_paranoid is missing*"])


def test_a_perf_level_that_no_kernel_knows_is_one_clear_line(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_counts(guest, perf_access):
            perf_access(level=7)
        """
    )
    result = inner.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*unknown perf_event_paranoid level 7 (known: -1 to 4)*"])
