# SPDX-License-Identifier: MIT
"""Timing in tests: the best available source, a clear message when none is available, and no concurrent tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from vmlab.errors import HostError
from vmlab.plugin.timing import PLACE
from vmlab.report.model import UNAVAILABLE_STATUS

from .inner import Inner

pytest_plugins = ["pytester"]

_IMPORTS = "import pytest\nfrom vmlab.timing.operation import Loop, Read\n"
_TIMED = _IMPORTS + (
    "def test_cost(stopwatch, series, timed_guest):\n"
    "    assert timed_guest is stopwatch.guest\n"
    "    series('loop', {n: stopwatch.measure(Loop(n), batches=3) for n in (10, 20)})\n"
)


def _marked(*sources: str) -> str:
    words = ", ".join(map(repr, sources))
    return f"{_IMPORTS}@pytest.mark.timing({words})\ndef test_cost(stopwatch):\n    stopwatch.measure(Loop(1))\n"


def _reason(inner: Inner) -> str:
    (row,) = inner.result()["targets"]
    (test,) = row["tests"].values()
    return str(test["reason"])


def test_the_best_source_is_taken_and_every_series_tells_it(inner: Inner) -> None:
    inner.tests(cost=_TIMED)
    inner.run().assert_outcomes(passed=1)
    (series,) = inner.result()["series"]
    assert (series["name"], series["source"], series["unit"]) == ("loop", "icount", "instructions")
    assert series["target"] == "debian12-6.1+icount"
    assert series["provenance"]["timing_source"] == "icount"
    assert series["points"] == [{"n": 10, "samples": [20.0] * 3}, {"n": 20, "samples": [40.0] * 3}]


def test_the_figures_stand_below_the_table(inner: Inner) -> None:
    inner.tests(cost=_TIMED)
    result = inner.run()
    result.stdout.fnmatch_lines(
        [
            "debian12-6.1+icount: loop, instructions (icount) per operation: 20 at n=10, 40 at n=20",
            "figures: vmlab series build/vmlab, vmlab plot build/vmlab",
            "results: *",
        ]
    )


def test_a_marker_that_needs_what_is_not_had_skips_with_the_fact(inner: Inner) -> None:
    inner.tests(cost=_marked("pmu"))
    inner.run().assert_outcomes(skipped=1)
    assert "pmu: only KVM passes a processor's counters through, but guests run under TCG here" in _reason(inner)


def test_a_marker_and_an_option_that_do_not_meet_skip_and_say_both(inner: Inner) -> None:
    inner.tests(cost=_marked("pmu", "icount"))
    inner.run("--vmlab-timing", "clock").assert_outcomes(skipped=1)
    assert "accepts only pmu or icount, and --vmlab-timing is clock" in _reason(inner)


def test_a_demanded_source_that_is_not_had_makes_tests_unavailable_in_one_line(inner: Inner) -> None:
    inner.tests(cost=_TIMED, marked=_marked("pmu"))
    result = inner.run("--vmlab-timing", "pmu")
    assert result.ret == UNAVAILABLE_STATUS
    line = "*debian12-6.1 cannot be timed as asked: pmu: only KVM passes*(--vmlab-timing auto takes*"
    result.stdout.fnmatch_lines([line])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.parametrize("words", [("emulated-pmu",), ("pmu", "--vmlab-accel", "tcg")])
def test_a_source_that_no_target_can_have_is_refused_before_anything_runs(inner: Inner, words: tuple[str, ...]) -> None:
    inner.tests(cost=_TIMED)
    result = inner.run("--vmlab-timing", *words)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*vmlab: --vmlab-timing {words[0]} is not possible: *"])


def test_an_unknown_source_in_a_marker_fails_with_those_there_are(inner: Inner) -> None:
    inner.tests(cost=_marked("icont"))
    inner.run().assert_outcomes(errors=1)
    assert "'icont' is not a valid TimingSource (known: pmu, emulated-pmu, icount, clock)" in _reason(inner)


def test_a_clock_on_a_busy_host_gives_no_figure(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmlab.host.load.busy_processors", lambda: 64.0)
    inner.tests(cost=_TIMED)
    inner.run("--vmlab-timing", "clock").assert_outcomes(skipped=1)
    assert "the host is busy: other work uses 64.0 of its" in _reason(inner)
    inner.run("--vmlab-timing", "icount").assert_outcomes(passed=1)


def test_timing_tests_run_alone_and_others_beside_each_other(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[str] = []

    def taking(name: str) -> object:
        @contextlib.contextmanager
        def place(*, on_wait: object) -> Iterator[None]:
            places.append(name)
            yield
            places.append(f"{name} ended")

        return place

    monkeypatch.delenv(PLACE)
    monkeypatch.setattr("vmlab.host.exclusive.alone", taking("alone"))
    monkeypatch.setattr("vmlab.host.exclusive.beside_others", taking("beside"))
    inner.tests(
        cost=_TIMED,
        guest="def test_it(shared_guest):\n    shared_guest.succeed('true')\n\ndef test_sum():\n    assert 1\n",
        marked="import pytest\n@pytest.mark.timing\ndef test_own_clock(guest):\n    guest.succeed('true')\n",
    )
    inner.run().assert_outcomes(passed=4)
    assert [place for place in places if "ended" not in place] == ["alone", "beside", "alone"]
    assert places[1::2] == [f"{place} ended" for place in places[::2]], "one after the other"


def test_a_shared_guest_stands_still_while_something_is_timed(inner: Inner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PLACE)
    for kind in ("alone", "beside_others"):
        monkeypatch.setattr(f"vmlab.host.exclusive.{kind}", lambda **_: contextlib.nullcontext())
    inner.tests(
        both="def test_before(shared_guest):\n    shared_guest.succeed('true')\n"
        f"{_TIMED}\n"
        "def test_after(shared_guest):\n    assert shared_guest.succeed('guests') == '1', 'the same guest'\n"
    )
    inner.run().assert_outcomes(passed=3)
    assert (inner.pytester.path / "monitor.log").read_text().split() == ["stop", "cont"]


def test_a_place_that_cannot_be_had_makes_the_test_unavailable_in_one_line(
    inner: Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def never(*, on_wait: object) -> Iterator[None]:
        raise HostError("timed out after 3600 s waiting for other tests that use guests to end")
        yield

    monkeypatch.delenv(PLACE)
    monkeypatch.setattr("vmlab.host.exclusive.alone", never)
    inner.tests(cost=_TIMED)
    assert inner.run().ret == UNAVAILABLE_STATUS
    assert set(inner.outcomes().values()) == {"unavailable"}
    assert "timed out after 3600 s" in _reason(inner)
