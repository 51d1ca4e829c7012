# SPDX-License-Identifier: MIT
"""The marker `network`, the setting of that name, and the hint at them."""

from __future__ import annotations

import pytest

from .inner import Inner

pytest_plugins = ["pytester"]

_MARKED = """
import pytest

@pytest.mark.network
def test_marked({fixture}):
    assert {fixture}.has_network

def test_plain({fixture}):
    assert not {fixture}.has_network
"""


@pytest.mark.parametrize("fixture", ["guest", "booted_guest", "any_guest", "timed_guest"])
def test_the_marker_gives_the_tests_own_guest_a_network(inner: Inner, fixture: str) -> None:
    inner.tests(all=_MARKED.format(fixture=fixture))
    result = inner.run()
    result.assert_outcomes(passed=4 if fixture == "any_guest" else 2)


@pytest.mark.parametrize("fixture", ["guest", "booted_guest", "shared_guest"])
def test_the_setting_gives_every_guest_a_network(inner: Inner, fixture: str) -> None:
    inner.tests(all=f"def test_plain({fixture}):\n    assert {fixture}.has_network\n")
    assert inner.run("--vmlab-network").ret == pytest.ExitCode.OK


def test_a_marked_test_does_not_get_the_guest_that_others_share(inner: Inner) -> None:
    inner.tests(
        all="""
        import pytest

        @pytest.mark.network
        def test_marked(shared_guest):
            pass

        def test_plain(shared_guest):
            assert not shared_guest.has_network
        """
    )
    result = inner.run()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(
        ["*marked network cannot use shared_guest*(use `guest` in this test, or --vmlab-network*"]
    )
    assert "Traceback" not in result.stdout.str()
    inner.run("--vmlab-network", "-k", "marked").assert_outcomes(passed=1)


@pytest.mark.parametrize("call", ["guest.succeed('offline')", "assert guest.run('offline').ok"])
def test_a_failure_for_want_of_a_network_names_the_marker(inner: Inner, call: str) -> None:
    inner.tests(all=f"def test_downloads(guest):\n    {call}\n")
    result = inner.run()
    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("mark the test with @pytest.mark.network") >= 1
    assert "mark the test" not in inner.run("--vmlab-network").stdout.str()


def test_a_failure_of_another_test_in_a_shared_guest_names_no_marker(inner: Inner) -> None:
    inner.tests(
        all="""
        def test_tries(shared_guest):
            shared_guest.run("offline")

        def test_wrong(shared_guest):
            assert 1 == 2
        """
    )
    result = inner.run()
    result.assert_outcomes(passed=1, failed=1)
    assert "mark the test" not in result.stdout.str()
