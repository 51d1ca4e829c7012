# SPDX-License-Identifier: MIT
"""Comparison of two series, point by point, with a verdict for each point.

Exact sources are compared directly. A clock, and counters on a shared host, also measure the host's other load: they
get a verdict only if both sides were measured in turns, under the same load. The verdict comes with a list of every
other difference that may explain it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from vmlab.errors import UsageError
from vmlab.provenance import Provenance
from vmlab.timing.document import check_series
from vmlab.timing.series import Point, Series, least, majority
from vmlab.timing.statistics import Interval, fewest_pairs, log_ratios, median_interval, quartiles, sign_flip_p

REPEATABILITY_PPM = 20.0
"""Difference in parts per million below which two exact counts are the same. A loop always counts the same; a read of a
device does not: an interrupt, or another path through the allocator, adds a few instructions to a batch. If a quarter
of a side's batches spread farther, as with a timer tick in every batch, a difference must exceed that spread: 46 parts
per million in 30 reads of F(10000), 170 in 10 reads of F(100000)."""
BOOTS_PPM = 300.0
"""The same between two boots of a target, whose kernels have different addresses: in eight boots of 6.1, three of them
without KASLR, a read of F(1000) took 18,686 to 18,691 instructions, 270 parts per million apart; the forks of one boot
all took the same."""
LEVEL = 0.001
"""Probability of `slower` or `faster` for a series that did not change, divided among its points (Bonferroni)."""
MARGIN = 0.05
"""Relative difference below which costs are the same. By a clock, two guests with the same code differ slightly: in 2
of 50 trials with two forks of one snapshot the difference was significant."""
ROUNDS = 30
TURNS_A_ROUND = 5
"""Rounds, and turns per round, that find a slowdown of 20 % on a busy host. A round's figure is the minimum of its
turns, since other load only adds time. On two cores with a load of 5, with batches of 0.2 to 4 ms and 20 % more work,
30 single turns found it in 9 to 19 of 30 trials, 30 rounds of 5 turns in 28 to 30. Neither reported a difference
without a change. tools/bench/comparison.py measures both."""
SAMPLES = ROUNDS * TURNS_A_ROUND
"""Recommended number of samples per side of a point, for series measured in turns."""


class Verdict(StrEnum):
    """Result of a comparison."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Parameters of a comparison."""

    margin: float = MARGIN
    """Smallest relative difference that counts, between 0 and 1; ignored for exact sources."""
    level: float = LEVEL
    is_any_source: bool = False
    """True to show series of different sources or units side by side instead of refusing them."""

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise UsageError(f"margin must be between 0 and 1, got {self.margin!r}", hint="0.05 is 5 %")
        if not 0 < self.level < 1:
            raise UsageError(f"level must be between 0 and 1, got {self.level!r}", hint="0.001 is 0.1 %")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointComparison:
    """The cost of one operation at one size, before and after."""

    n: int
    before: float
    after: float
    """Both: the steady count of an exact source, in turns the median of the rounds, else of the samples."""
    verdict: Verdict
    reason: str = ""
    """Reason of an inconclusive verdict."""
    ratio: float | None = None
    """After / before; in turns, the median of the rounds' ratios. None if a cost is zero or negative."""
    interval: Interval | None = None
    """Confidence interval of the median ratio, for series measured in turns."""
    p: float | None = None
    rounds: int = 0

    @property
    def difference(self) -> float:
        """After minus before, in the series' unit."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A difference between two measurements apart from the code."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Comparison of two series."""

    name: str
    target: str
    source: str
    """Timing source of both; `icount, then clock` if they differ."""
    unit: str
    is_exact: bool
    """True if the same work gives the same figure on both sides."""
    points: tuple[PointComparison, ...]
    only_before: tuple[int, ...] = ()
    """Sizes measured only before."""
    only_after: tuple[int, ...] = ()
    differences: tuple[Difference, ...] = ()
    remarks: tuple[str, ...] = ()
    """Caveats of the verdict, and the way to a better one."""

    @property
    def verdict(self) -> Verdict:
        return overall([point.verdict for point in self.points])


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """Combine verdicts: the worst one decides, in the order slower, inconclusive, faster, same."""
    for word in (Verdict.SLOWER, Verdict.INCONCLUSIVE, Verdict.FASTER):
        if word in verdicts:
            return word
    return Verdict.SAME if verdicts else Verdict.INCONCLUSIVE


def compare(before: Series, after: Series, rules: Rules | None = None) -> Comparison:
    """Compare each size that both series have. Costs 40 ms per point for series measured in turns.

    Raises `UsageError` for series of different sources or units unless `rules.is_any_source`, and for invalid samples.
    """
    rules = rules or Rules()
    check_series((before,), where="before")
    check_series((after,), where="after")
    if (before.source, before.unit) != (after.source, after.unit) and not rules.is_any_source:
        raise UsageError(
            f"{before.name!r} on {before.target!r}: cannot compare {before.source} in {before.unit} with "
            f"{after.source} in {after.unit}",
            hint="measure both with one --vmlab-timing, or use --any-source",
        )
    olds = {point.n: point for point in before.points}
    news = {point.n: point for point in after.points}
    both = sorted(olds.keys() & news.keys())
    unfit = _unfit(before, after)
    share = rules.level / max(1, len(both))
    if unfit:
        points = tuple(_undecided(olds[n], news[n], unfit) for n in both)
    elif before.source.is_exact:
        points = tuple(_exact(olds[n], news[n], _repeatability_ppm(before, after)) for n in both)
    else:
        points = tuple(_in_turns(olds[n], news[n], rules.margin, share) for n in both)
    return Comparison(
        name=before.name,
        target=before.target,
        source=_one_or_both(before.source, after.source),
        unit=_one_or_both(before.unit, after.unit),
        is_exact=before.source.is_exact and after.source.is_exact,
        points=points,
        only_before=tuple(sorted(olds.keys() - news.keys())),
        only_after=tuple(sorted(news.keys() - olds.keys())),
        differences=_differences(before, after),
        remarks=_remarks(before, after),
    )


def _unfit(before: Series, after: Series) -> str:
    """Return the reason why these two series cannot be judged; empty if they can."""
    if before.unit is not after.unit:
        return f"{before.unit} and {after.unit}: the units differ"
    if before.source.is_exact and after.source.is_exact:
        return ""
    if before.source is not after.source:
        return f"{before.source} and {after.source}: the timing sources differ"
    if not before.interleaving or before.interleaving != after.interleaving:
        return "not measured in turns: the figures include changes of the host's load between the two"
    return ""


def _undecided(old: Point, new: Point, reason: str) -> PointComparison:
    before, after = old.median, new.median
    ratio = after / before if before > 0 and after > 0 else None
    return PointComparison(
        n=old.n, before=before, after=after, ratio=ratio, verdict=Verdict.INCONCLUSIVE, reason=reason
    )


def _repeatability_ppm(before: Series, after: Series) -> float:
    boots = {row.provenance.boot if row.provenance is not None else "" for row in (before, after)}
    return REPEATABILITY_PPM if len(boots) == 1 and "" not in boots else BOOTS_PPM


def _exact(old: Point, new: Point, repeatability_ppm: float) -> PointComparison:
    pair = [majority(point.samples) for point in (old, new)]
    # Compare majority with majority, or least with least, never one with the other.
    before, after = (old.steady, new.steady) if None not in pair else (least(old.samples), least(new.samples))
    if before <= 0 or after <= 0:
        reason = f"a batch counted {min(before, after):g}: the operation costs less than the measurement itself"
        return PointComparison(n=old.n, before=before, after=after, verdict=Verdict.INCONCLUSIVE, reason=reason)
    ratio = after / before
    difference = abs(after - before)
    unsteady = max(_spread(old, before), _spread(new, after))
    verdict, reason = Verdict.SLOWER if ratio > 1 else Verdict.FASTER, ""
    if difference <= repeatability_ppm * 1e-6 * min(before, after):
        verdict = Verdict.SAME
    elif difference <= unsteady:
        verdict = Verdict.INCONCLUSIVE
        reason = f"the difference is within the spread of one side's batches ({unsteady:g}): use shorter batches"
    return PointComparison(n=old.n, before=before, after=after, ratio=ratio, verdict=verdict, reason=reason)


def _spread(point: Point, figure: float) -> float:
    """Return how much the figure may vary between runs: the interquartile range of the samples for a majority figure,
    else the distance from the figure to the first quartile."""
    quarter = quartiles(point.samples)
    return quarter.high - quarter.low if figure == majority(point.samples) else quarter.low - figure


def _in_turns(old: Point, new: Point, margin: float, level: float) -> PointComparison:
    if len(old.samples) != len(new.samples):
        counts = f"{len(old.samples)} samples before, {len(new.samples)} after"
        return _undecided(old, new, f"{counts}: samples measured in turns must be pairs")
    if (least := min(*old.samples, *new.samples)) <= 0:
        return _undecided(old, new, f"a sample is {least:g}: the operation costs less than the measurement itself")
    olds, news = rounds_of(old.samples), rounds_of(new.samples)
    fewest = fewest_pairs(level)
    if len(olds) < fewest:
        few = f"{len(olds)} samples in turns are too few: at least {fewest} are needed, {SAMPLES} recommended"
        return _undecided(old, new, few)
    logs = log_ratios(olds, news)
    ends = median_interval(logs)
    interval = Interval(low=math.exp(ends.low), high=math.exp(ends.high))
    ratio = math.exp(statistics.median(logs))
    p = sign_flip_p(logs)
    verdict, reason = _judge(interval, p, margin, level)
    return PointComparison(
        n=old.n,
        before=statistics.median(olds),
        after=statistics.median(news),
        verdict=verdict,
        reason=reason,
        ratio=ratio,
        interval=interval,
        p=p,
        rounds=len(olds),
    )


def _judge(interval: Interval, p: float, margin: float, level: float) -> tuple[Verdict, str]:
    """Return the verdict for a confidence interval of the median ratio and a p, with the reason if inconclusive."""
    alike = Interval(low=1 / (1 + margin), high=1 + margin)
    if interval.is_within(alike):
        return Verdict.SAME, ""
    if interval.holds(1):
        return Verdict.INCONCLUSIVE, f"too noisy: the interval contains 1 and exceeds {margin:.0%} around it"
    if p >= level:
        return Verdict.INCONCLUSIVE, f"the interval excludes 1, but p = {p:.2g} is not below {level:.2g}"
    if interval.low <= alike.high and interval.high >= alike.low:
        # Without this, 2 of 50 trials with two forks of one snapshot, running the same code, reported a difference.
        return Verdict.INCONCLUSIVE, f"the interval excludes 1, but overlaps the margin of {margin:.0%}"
    return (Verdict.SLOWER if interval.low > 1 else Verdict.FASTER), ""


def rounds_of(samples: Sequence[float]) -> list[float]:
    """Return the minimum of each round; `samples` in the order they were taken make `ROUNDS` rounds or a few more.

    An incomplete last round is left out.
    """
    turns = max(1, len(samples) // ROUNDS)
    whole = len(samples) // turns * turns
    return [min(samples[first : first + turns]) for first in range(0, whole, turns)]


_FACTS = {
    "release": "kernel",
    "kernel_package": "kernel package",
    "kernel_compiler": "kernel's compiler",
    "compiler": "module's compiler",
    "build_place": "built in",
    "qemu": "QEMU",
    "accelerator": "accelerator",
    "cpu_model": "CPU model",
    "cpus": "CPUs",
    "memory_mib": "memory in MiB",
    "image": "image",
}
"""Fields of a provenance that may change a cost, with their names in the output."""


def _differences(before: Series, after: Series) -> tuple[Difference, ...]:
    rows = [("target", before.target, after.target), ("timing source", str(before.source), str(after.source))]
    rows.append(("unit", str(before.unit), str(after.unit)))
    old, new = before.provenance, after.provenance
    if old is not None and new is not None:
        rows += [(word, _fact(old, name), _fact(new, name)) for name, word in _FACTS.items()]
    return tuple(Difference(what=what, before=one, after=other) for what, one, other in rows if one != other)


def _fact(provenance: Provenance, name: str) -> str:
    return str(getattr(provenance, name)) or "not recorded"


def _remarks(before: Series, after: Series) -> tuple[str, ...]:
    remarks = []
    if unknown := [word for word, row in (("before", before), ("after", after)) if row.provenance is None]:
        remarks.append(f"kernel, compiler and QEMU were not recorded {' and '.join(unknown)}: they may differ")
    if _unfit(before, after) and not before.source.is_exact and not after.source.is_exact:
        remarks.append("for a verdict, measure both side by side, or with --vmlab-timing icount")
    return tuple(remarks)


def _one_or_both(one: str, other: str) -> str:
    return str(one) if one == other else f"{one}, then {other}"
