# SPDX-License-Identifier: MIT
"""A guest's text reaches pytest's output, JUnit XML and results.json without a control character."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence

import pytest
from plugin.inner import CONFTEST, Inner

from .attacks import ATTACKS, found_in

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("_nothing_runs_here")
_TEXT = "".join(ATTACKS.values())
_SPLAT = "fib_read+0x1b/0x40 [fibdrv]"
_TESTS = f"""
    import logging
    import warnings
    import pytest

    TEXT = {_TEXT!a}

    def test_prints(guest, record_property):
        record_property("seen", TEXT)
        print("printed", TEXT)
        logging.getLogger().warning("logged %s", TEXT)
        warnings.warn("warned " + TEXT)
        raise ValueError("raised " + TEXT)

    def test_compares(guest):
        assert guest.run("echo a").stdout == "compared" + TEXT

    def test_skips(guest):
        pytest.skip("skipped " + TEXT)

    def test_reports(guest):
        guest.run("splat")

    def test_notes(guest, vmlab_lab):
        vmlab_lab.context.notice("noted " + TEXT)
        vmlab_lab.context.progress("shown " + TEXT)

    def test_lab_fails(guest):
        from vmlab.errors import GuestError
        raise GuestError("failed " + TEXT, hint=TEXT, detail="detailed " + TEXT)

    def test_is_lost(guest):
        from vmlab.errors import MachineLost
        raise MachineLost("lost " + TEXT, detail="console " + TEXT)

    def test_is_unavailable(guest, request):
        request.getfixturevalue("missing")

    @pytest.fixture
    def missing():
        from vmlab.errors import AssetError
        raise AssetError("unavailable " + TEXT)

    @pytest.mark.parametrize("value", [TEXT], ids=["id " + TEXT])
    def test_has_an_odd_id(guest, value):
        assert not value
"""
_SAID = (
    "printed",
    "logged",
    "warned",
    "raised",
    "skipped",
    "noted",
    "failed",
    "detailed",
    "lost",
    "console",
    "unavailable",
)


@pytest.fixture
def _nothing_runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from vmlab.plugin.timing import PLACE

    monkeypatch.setenv(PLACE, "held")
    monkeypatch.setenv("VMLAB_MIRROR", "http://mirror.invalid/debian")


@pytest.mark.parametrize("more", [(), ("-n", "1"), ("-v", "--tb=long", "--showlocals"), ("--tb=native",)], ids=str)
def test_a_guests_text_is_printable_in_every_output_of_a_run(
    more: Sequence[str], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Inner(pytester)
    # The fake guest's console is UTF-8, and its log has a record per line.
    hostile = ascii(" said " + _TEXT.encode("utf-8", "ignore").decode())[1:-1]
    pytester.makeconftest(CONFTEST.replace(_SPLAT, f"{_SPLAT}{hostile}"))
    inner.tests(odd=_TESTS)

    # Its own process: an inner run in this one would log into this test's report, which xdist cannot send.
    wanted = ("--vmlab-target", "debian12-6.1", "-rA", "--junitxml=junit.xml")
    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", *wanted, *more)

    text = "\n".join([*done.outlines, *done.errlines])
    xml = (pytester.path / "junit.xml").read_bytes()
    results = (pytester.path / "build" / "vmlab" / "results.json").read_bytes()
    assert found_in(text) == []
    assert found_in(xml) == []
    assert results.isascii()
    assert found_in(results) == []
    assert [word for word in (*_SAID, "compared", "[fibdrv] said") if word not in text] == []
    assert {row["target"] for row in json.loads(results)["targets"]} == {"debian12-6.1"}


_COMMANDS = """
    import logging
    import warnings

    TEXT = "line\\n::error::a\\n \\t::add-mask::b\\nc ##[error]d"

    def test_passes(guest, vmlab_lab):
        print(TEXT)
        vmlab_lab.context.notice("noted " + TEXT)

    def test_fails(guest):
        print(TEXT)
        logging.getLogger().warning(TEXT)
        warnings.warn(TEXT)
        raise ValueError(TEXT)

    def test_is_lost(guest):
        from vmlab.errors import MachineLost
        raise MachineLost("lost ##[error]x", detail=TEXT)
"""


@pytest.mark.parametrize("more", [(), ("-n", "1"), ("--tb=native",)], ids=str)
def test_a_guests_text_is_no_command_to_githubs_runner(
    more: Sequence[str], pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    Inner(pytester).tests(commands=_COMMANDS)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    wanted = ("--vmlab-target", "debian12-6.1", "-rA", "-p", "no:cacheprovider")
    done = pytester.runpytest_subprocess(*wanted, *more)

    lines = [*done.outlines, *done.errlines]
    commands = {line.partition(" ")[0] for line in map(str.lstrip, lines) if line.startswith("::")}
    assert commands == {"::notice"}
    assert [line for line in lines if "##[" in line and not line.startswith("::notice")] == []
    assert ": :error::a" in lines
    assert "c # #[error]d" in lines


def test_an_option_that_is_wrong_is_one_printable_line(pytester: pytest.Pytester) -> None:
    done = Inner(pytester).run(target=_TEXT.replace("\0", ""))

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in done.errlines if line]
    assert len(lines) == 1
    assert found_in(lines[0]) == []


def test_an_option_that_is_unknown_is_one_printable_line(pytester: pytest.Pytester) -> None:
    done = Inner(pytester).run(f"--vmlab-{_TEXT.replace(chr(0), '')}")

    assert done.ret == pytest.ExitCode.USAGE_ERROR
    lines = [line for line in done.errlines if line]
    assert found_in("".join(lines)) == []
    assert "vmlab: unknown option" in lines[-1]


def test_an_ascii_terminal_shows_the_table_in_lines(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Inner(pytester)
    inner.tests(odd="def test_fails(guest):\n    raise ValueError('café → x')\n")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))

    done = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--vmlab-target", "debian12-6.1")

    assert any(line.startswith("target ") for line in done.outlines)
    done.stdout.fnmatch_lines(["debian12-6.1: ValueError: caf\\xe9 -> x *"])
