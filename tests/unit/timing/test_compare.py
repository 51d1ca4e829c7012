# SPDX-License-Identifier: MIT
"""A verdict where the figures allow one, and a reason where they do not."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vmlab.errors import UsageError
from vmlab.timing.compare import (
    LEVEL,
    REPEATABILITY_PPM,
    ROUNDS,
    SAMPLES,
    TURNS_A_ROUND,
    PointComparison,
    Rules,
    Verdict,
    compare,
    overall,
    rounds_of,
)
from vmlab.timing.series import Series, TimingSource, Unit

from .measures import provenance, series, turns

_EXACT = [(TimingSource.ICOUNT, Unit.NS), (TimingSource.EMULATED_PMU, Unit.INSTRUCTIONS)]


def _exact(*samples: float) -> Series:
    return series(samples, source=TimingSource.ICOUNT)


def _one(before: Series, after: Series, rules: Rules | None = None) -> PointComparison:
    (point,) = compare(before, after, rules).points
    return point


def _sides(*, slowdown: float = 1.0, noise: float = 0.05, count: int = SAMPLES) -> tuple[Series, Series]:
    before, after = turns(slowdown=slowdown, noise=noise, count=count)
    return series(before, interleaving="a"), series(after, interleaving="a")


@pytest.mark.parametrize(("source", "unit"), _EXACT)
def test_exact_counts_are_compared_by_their_least(source: TimingSource, unit: Unit) -> None:
    before = series([2_000_100.0, 2_000_000.0, 9_999_999.0], source=source, unit=unit)
    point = _one(before, series([2_001_000.0, 2_001_200.0, 9_999_999.0], source=source, unit=unit))
    assert (point.before, point.after, point.difference) == (2_000_000, 2_001_000, 1000)
    assert point.ratio == pytest.approx(1.0005)
    assert (point.verdict, point.interval, point.p) == (Verdict.SLOWER, None, None)


def test_an_exact_difference_of_one_part_in_ten_thousand_is_told_in_both_directions() -> None:
    assert _one(_exact(1_000_000), _exact(1_000_100)).verdict is Verdict.SLOWER
    assert _one(_exact(1_000_100), _exact(1_000_000)).verdict is Verdict.FASTER


def test_what_reads_of_a_device_do_not_repeat_is_the_same_and_still_shown() -> None:
    within = _one(_exact(1e6), _exact(1e6 + REPEATABILITY_PPM))
    assert (within.verdict, within.difference) == (Verdict.SAME, REPEATABILITY_PPM)
    assert _one(_exact(1e6), _exact(1e6 + REPEATABILITY_PPM + 1)).verdict is Verdict.SLOWER


def test_two_boots_of_a_kernel_are_a_little_farther_apart_than_forks_of_one() -> None:
    before = _exact(18_686)
    for boot in ("b1", ""):
        other = series([18_691], source=TimingSource.ICOUNT, known=provenance(boot=boot))
        assert _one(before, other).verdict is Verdict.SAME
    assert _one(before, _exact(18_691)).verdict is Verdict.SLOWER
    later = series([18_737], source=TimingSource.ICOUNT, known=provenance(boot="b1"))
    assert _one(before, later).verdict is Verdict.SLOWER


def test_exact_batches_that_lie_farther_apart_than_the_sides_decide_nothing() -> None:
    reads = [*[15_336_894.0] * 2, *[15_339_500.0] * 3, *[15_345_000.0] * 5]
    other = [*[15_338_500.0] * 2, *[15_339_500.0] * 3, *[15_345_000.0] * 5]
    point = _one(_exact(*reads), _exact(*other))
    assert (point.verdict, point.difference) == (Verdict.INCONCLUSIVE, 1606)
    assert "use shorter batches" in point.reason
    assert _one(_exact(*reads), _exact(*[sample * 1.001 for sample in reads])).verdict is Verdict.SLOWER
    assert _one(_exact(*reads), _exact(*reads[::-1])).verdict is Verdict.SAME


def test_one_batch_in_forty_that_lies_below_the_rest_is_luck_and_decides_nothing() -> None:
    steady = [*[18_688.0] * 30, *[19_110.0] * 10]
    assert _one(_exact(18_674.0, *steady[1:]), _exact(*steady)).verdict is Verdict.SAME
    # In ten batches it may count: for F(100000), one read was 170 parts per million below all others.
    few = [*[15_339_500.0] * 5, *[15_345_000.0] * 5]
    assert _one(_exact(15_336_894.0, *few[1:]), _exact(*few)).verdict is Verdict.INCONCLUSIVE


def test_a_majority_that_another_run_might_not_have_had_decides_nothing() -> None:
    most, many = [*[9_846.0] * 11, *[9_853.0] * 9], [*[9_846.0] * 9, *[9_853.0] * 11]
    assert _one(_exact(*most), _exact(*many)).verdict is Verdict.INCONCLUSIVE
    # Just below a majority, the same batches count as equal.
    no_majority = [*[9_846.0] * 6, *[9_853.0] * 10, *[10_275.0] * 4]
    bare_majority = [*[9_846.0] * 5, *[9_853.0] * 11, *[10_275.0] * 4]
    assert _one(_exact(*no_majority), _exact(*bare_majority)).verdict is Verdict.SAME
    clear = [*[9_846.0] * 3, *[9_853.0] * 17]
    assert _one(_exact(*clear), _exact(*[cost + 51 for cost in clear])).verdict is Verdict.SLOWER


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.0, 5.0), (5.0, 0.0), (-1.0, 5.0)])
def test_an_exact_count_of_nothing_has_no_ratio_and_no_verdict(before: float, after: float) -> None:
    point = _one(_exact(before), _exact(after))
    assert (point.verdict, point.ratio) == (Verdict.INCONCLUSIVE, None)
    assert "costs less than the measurement itself" in point.reason


@pytest.mark.parametrize(("slowdown", "verdict"), [(1.2, "slower"), (1 / 1.2, "faster"), (1.0, "same")])
def test_a_clock_read_in_turns_has_a_verdict(slowdown: float, verdict: str) -> None:
    point = _one(*_sides(slowdown=slowdown))
    assert (point.verdict, point.reason, point.rounds) == (Verdict(verdict), "", ROUNDS)
    assert point.interval is not None
    assert point.interval.holds(slowdown)
    assert point.interval.holds(point.ratio or 0)


def test_what_is_clear_of_1_but_within_the_margin_is_the_same_unless_the_margin_is_less() -> None:
    sides = _sides(slowdown=1.03, noise=0.01)
    assert _one(*sides).verdict is Verdict.SAME
    assert _one(*sides, Rules(margin=0.01)).verdict is Verdict.SLOWER


def test_what_is_too_noisy_is_inconclusive_and_says_so() -> None:
    point = _one(*_sides(noise=6.0))
    assert (point.verdict, point.reason) == (
        Verdict.INCONCLUSIVE,
        "too noisy: the interval contains 1 and exceeds 5% around it",
    )


@pytest.mark.parametrize("words", [("", ""), ("a", ""), ("a", "b")])
@pytest.mark.parametrize("source", [TimingSource.CLOCK, TimingSource.PMU])
def test_a_clock_not_read_in_turns_has_figures_and_no_verdict(source: TimingSource, words: tuple[str, str]) -> None:
    before, after = _sides(slowdown=9.0)
    old = replace(before, interleaving=words[0], source=source)
    comparison = compare(old, replace(after, interleaving=words[1], source=source))
    (point,) = comparison.points
    assert point.verdict is Verdict.INCONCLUSIVE
    assert point.ratio == pytest.approx(9, rel=0.1)
    assert "the figures include changes of the host's load between the two" in point.reason
    assert any("side by side, or with --vmlab-timing icount" in remark for remark in comparison.remarks)


def test_fewer_samples_than_can_decide_are_inconclusive() -> None:
    few = _one(*_sides(slowdown=9.0, count=10))
    assert few.verdict is Verdict.INCONCLUSIVE
    assert few.reason == "10 samples in turns are too few: at least 11 are needed, 150 recommended"
    assert (few.p, few.interval) == (None, None)
    assert _one(*_sides(slowdown=9.0, count=11)).verdict is Verdict.SLOWER


def test_the_points_of_a_series_share_the_level() -> None:
    before, after = turns(slowdown=9.0, count=11)
    alone = compare(series({1: before}, interleaving="a"), series({1: after}, interleaving="a"))
    sizes = range(1, 9)
    together = compare(
        series(dict.fromkeys(sizes, before), interleaving="a"), series(dict.fromkeys(sizes, after), interleaving="a")
    )
    assert alone.verdict is Verdict.SLOWER
    assert all("at least 14 are needed" in point.reason for point in together.points)


def test_another_number_of_samples_is_not_in_turns() -> None:
    before, after = turns(count=40)
    point = _one(series(before, interleaving="a"), series(after[:-1], interleaving="a"))
    assert point.reason == "40 samples before, 39 after: samples measured in turns must be pairs"


@pytest.mark.parametrize("strange", [0.0, -3.0])
def test_a_clock_that_saw_nothing_pass_gives_no_verdict(strange: float) -> None:
    before, after = turns(slowdown=2.0)
    after[17] = strange
    point = _one(series(before, interleaving="a"), series(after, interleaving="a"))
    assert point.verdict is Verdict.INCONCLUSIVE
    assert f"a sample is {strange:g}" in point.reason


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("source", list(TimingSource))
def test_what_is_no_number_is_refused(strange: float, source: TimingSource) -> None:
    with pytest.raises(UsageError, match="invalid sample"):
        compare(series([1.0, 2.0], source=source), series([1.0, strange], source=source))


def test_another_source_or_unit_is_refused_in_one_line_unless_asked_for() -> None:
    clock, exact = series([1000.0]), series([2000.0], source=TimingSource.ICOUNT)
    cycles = series([3000.0], source=TimingSource.PMU, unit=Unit.CYCLES)
    for other in (exact, cycles):
        with pytest.raises(UsageError, match="cannot compare") as caught:
            compare(clock, other)
        assert "\n" not in str(caught.value)
        assert "--any-source" in str(caught.value)
        shown = compare(clock, other, Rules(is_any_source=True))
        assert shown.verdict is Verdict.INCONCLUSIVE
        assert ("timing source", "clock", str(other.source)) in [
            (row.what, row.before, row.after) for row in shown.differences
        ]
    assert compare(clock, exact, Rules(is_any_source=True)).source == "clock, then icount"


@pytest.mark.parametrize(
    ("field", "what"),
    [
        ("release", "kernel"),
        ("kernel_compiler", "kernel's compiler"),
        ("compiler", "module's compiler"),
        ("qemu", "QEMU"),
        ("accelerator", "accelerator"),
        ("cpu_model", "CPU model"),
    ],
)
def test_what_differs_besides_the_code_stands_beside_the_verdict(field: str, what: str) -> None:
    other = provenance(**{field: "another"})
    comparison = compare(_exact(1e6), replace(_exact(2e6), provenance=other))
    assert comparison.verdict is Verdict.SLOWER
    assert [(row.what, row.after) for row in comparison.differences] == [(what, "another")]
    assert compare(_exact(1e6), _exact(2e6)).differences == ()


def test_what_was_not_recorded_is_told() -> None:
    bare = replace(_exact(1e6), provenance=None)
    assert compare(_exact(1e6), _exact(1e6)).remarks == ()
    assert compare(bare, _exact(1e6)).remarks == (
        "kernel, compiler and QEMU were not recorded before: they may differ",
    )
    assert "before and after" in compare(bare, bare).remarks[0]


def test_sizes_of_one_side_are_listed_and_no_common_size_is_inconclusive() -> None:
    before = series({1: [5.0], 2: [5.0]}, source=TimingSource.ICOUNT)
    after = series({3: [5.0], 2: [5.0]}, source=TimingSource.ICOUNT)
    comparison = compare(before, after)
    assert ([point.n for point in comparison.points], comparison.only_before, comparison.only_after) == (
        [2],
        (1,),
        (3,),
    )
    apart = compare(series({1: [5.0]}, source=TimingSource.ICOUNT), after)
    assert (apart.points, apart.verdict) == ((), Verdict.INCONCLUSIVE)


@given(st.lists(st.floats(1.0, 1e9), min_size=1, max_size=400))
def test_a_round_is_the_least_of_its_turns_and_none_is_lost_to_few(samples: list[float]) -> None:
    rounds = rounds_of(samples)
    assert min(ROUNDS, len(samples)) <= len(rounds) < 2 * ROUNDS
    turns_a_round = max(1, len(samples) // ROUNDS)
    assert rounds[0] == min(samples[:turns_a_round])
    assert set(rounds) <= set(samples)


def test_the_right_number_of_samples_makes_whole_rounds() -> None:
    samples = [float(number % TURNS_A_ROUND) + 1 for number in range(SAMPLES)]
    assert rounds_of(samples) == [1.0] * ROUNDS


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.8, 0.97, 1.0, 1.04, 1.3]), st.sampled_from([0.02, 0.3]))
def test_the_other_way_round_it_is_the_other_verdict(seed: int, slowdown: float, noise: float) -> None:
    before, after = turns(slowdown=slowdown, noise=noise, seed=seed, count=30)
    one, other = (series(side, interleaving="a") for side in (before, after))
    mirror = {Verdict.FASTER: Verdict.SLOWER, Verdict.SLOWER: Verdict.FASTER}
    forth, back = _one(one, other), _one(other, one)
    assert back.verdict is mirror.get(forth.verdict, forth.verdict)
    assert forth == _one(one, other)


def test_the_worst_of_many_verdicts_stands_for_all() -> None:
    assert overall([Verdict.FASTER, Verdict.INCONCLUSIVE, Verdict.SLOWER]) is Verdict.SLOWER
    assert overall([Verdict.FASTER, Verdict.INCONCLUSIVE, Verdict.SAME]) is Verdict.INCONCLUSIVE
    assert overall([Verdict.FASTER, Verdict.SAME]) is Verdict.FASTER
    assert overall([Verdict.SAME]) is Verdict.SAME
    assert overall([]) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("share", [0.0, -0.1, 1.0, math.nan])
def test_a_margin_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(UsageError, match="margin must be between 0 and 1"):
        Rules(margin=share)
    with pytest.raises(UsageError, match="level must be between 0 and 1"):
        Rules(level=share)


def test_a_difference_that_reaches_into_the_margin_is_not_told() -> None:
    before, after = _sides(slowdown=1.05, noise=0.05)
    point = _one(before, after)
    assert point.interval is not None
    assert point.p is not None
    assert (point.interval.low > 1, point.p < LEVEL) == (True, True), "surely a difference"
    assert point.verdict is Verdict.INCONCLUSIVE
    assert "overlaps the margin of 5%" in point.reason
    assert _one(before, _sides(slowdown=1.2, noise=0.02)[1]).verdict is Verdict.SLOWER
