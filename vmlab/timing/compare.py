# SPDX-License-Identifier: MIT
"""Compares two series, point by point, and says what follows from the figures and what does not.

Exact sources are compared as they are. A clock, and counters on a host that is shared, hold whatever else the host did:
they are judged only when both sides were measured in turns, so that both met the same. All that could make the figures
differ besides the code is listed beside the verdict.
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
"""Below this two exact counts are the same, in parts per million. A loop counts alike to the instruction, a read of a
device does not: an interrupt, or another path through the allocator, adds a few instructions to a batch. Where a
quarter of a side's batches lie farther apart than that, as they do once timer ticks fall in every one, that is what a
difference must exceed: of 30 reads of F(10000) they lay within 46 parts per million, of 10 of F(100000) within 170."""
BOOTS_PPM = 300.0
"""The same between two boots of a target, whose kernels lie elsewhere in memory: of eight boots of 6.1, three of them
without KASLR, a read of F(1000) took 18,686 to 18,691 instructions, 270 parts per million apart, and each boot's forks
took the same."""
LEVEL = 0.001
"""How often `slower` or `faster` may be said of a series that did not change; its points share it (Bonferroni)."""
MARGIN = 0.05
"""Cost that differs by less than this is the same. Two guests that run the same code are not quite alike by a clock: of
50 trials with two forks of one snapshot 2 were surely on one side of each other."""
ROUNDS = 30
TURNS_A_ROUND = 5
"""How many rounds of how many turns find a slowdown of 20 % on a busy host; the round's figure is the least of its
turns, since whatever else a host does only ever adds time. On two cores with a load of 5, batches of 0.2 to 4 ms and
20 % more work: 30 single turns found it 9 to 19 times of 30, 30 rounds of 5 turns 28 to 30 times, and neither saw a
difference where there was none. tools/bench/comparison.py measures both again."""
SAMPLES = ROUNDS * TURNS_A_ROUND
"""How many samples in turns a side of a point should have."""


class Verdict(StrEnum):
    """What follows from the figures."""

    FASTER = "faster"
    SLOWER = "slower"
    SAME = "same"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How to judge."""

    margin: float = MARGIN
    """As a share of the cost before; for sources that are not exact."""
    level: float = LEVEL
    is_any_source: bool = False
    """Set series of different sources or units beside each other instead of refusing them."""

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise UsageError(f"a margin of {self.margin!r} is none", hint="a share between 0 and 1: 0.05 is 5 %")
        if not 0 < self.level < 1:
            raise UsageError(f"a level of {self.level!r} is none", hint="a share between 0 and 1: 0.001")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointComparison:
    """The cost of one operation at one size, before and after."""

    n: int
    before: float
    after: float
    """Exact sources: the steady one. In turns: of the rounds, or else of the samples, the median."""
    verdict: Verdict
    reason: str = ""
    """Why nothing follows."""
    ratio: float | None = None
    """After / before; in turns the median of the rounds' ratios. None where the figures have no ratio."""
    interval: Interval | None = None
    """Where the median ratio lies, when it was measured in turns."""
    p: float | None = None
    rounds: int = 0

    @property
    def difference(self) -> float:
        """After less before, in the series' unit."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something besides the code that was not the same."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two series beside each other."""

    name: str
    target: str
    source: str
    """Of both; `icount, then clock` where that was asked for."""
    unit: str
    is_exact: bool
    """Whether the same work gives the same figure on both sides."""
    points: tuple[PointComparison, ...]
    only_before: tuple[int, ...] = ()
    """Sizes that were measured on one side alone."""
    only_after: tuple[int, ...] = ()
    differences: tuple[Difference, ...] = ()
    remarks: tuple[str, ...] = ()
    """What else to know before the verdict is believed, and what to do for a better one."""

    @property
    def verdict(self) -> Verdict:
        return overall([point.verdict for point in self.points])


def overall(verdicts: Sequence[Verdict]) -> Verdict:
    """One word for many: what is worst decides, and what is not known is worse than what is the same."""
    for word in (Verdict.SLOWER, Verdict.INCONCLUSIVE, Verdict.FASTER):
        if word in verdicts:
            return word
    return Verdict.SAME if verdicts else Verdict.INCONCLUSIVE


def compare(before: Series, after: Series, rules: Rules | None = None) -> Comparison:
    """Judge each size that both series have; 40 ms a point in turns, nothing for the rest.

    Raises `UsageError` for series of different sources or units unless `rules.is_any_source`, and for samples that are
    no numbers.
    """
    rules = rules or Rules()
    check_series((before,), where="before")
    check_series((after,), where="after")
    if (before.source, before.unit) != (after.source, after.unit) and not rules.is_any_source:
        raise UsageError(
            f"{before.name!r} on {before.target!r}: {before.source} in {before.unit} beside {after.source} in "
            f"{after.unit} is no comparison",
            hint="measure both alike, or show them anyway with --any-source",
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
    """Why no figure of these two series can be judged; empty where it can."""
    if before.unit is not after.unit:
        return f"{before.unit} beside {after.unit}: the figures count different things"
    if before.source.is_exact and after.source.is_exact:
        return ""
    if before.source is not after.source:
        return f"{before.source} beside {after.source}: the figures were taken by different means"
    if not before.interleaving or before.interleaving != after.interleaving:
        return "not measured in turns: what changed on the host between the two is in the figures"
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
    # What most batches of one counted is no figure to hold against the least of the other.
    before, after = (old.steady, new.steady) if None not in pair else (least(old.samples), least(new.samples))
    if before <= 0 or after <= 0:
        reason = f"a batch counted {min(before, after):g}: the operation is lost in what measuring it costs"
        return PointComparison(n=old.n, before=before, after=after, verdict=Verdict.INCONCLUSIVE, reason=reason)
    ratio = after / before
    difference = abs(after - before)
    unsteady = max(_spread(old, before), _spread(new, after))
    verdict, reason = Verdict.SLOWER if ratio > 1 else Verdict.FASTER, ""
    if difference <= repeatability_ppm * 1e-6 * min(before, after):
        verdict = Verdict.SAME
    elif difference <= unsteady:
        verdict = Verdict.INCONCLUSIVE
        reason = (
            f"a quarter of one side's batches lie {unsteady:g} apart, and the sides no farther: take shorter batches"
        )
    return PointComparison(n=old.n, before=before, after=after, ratio=ratio, verdict=verdict, reason=reason)


def _spread(point: Point, figure: float) -> float:
    """How far the figure of another run might have been: what most counted might have been what the next many did, and
    one that few batches come near less still."""
    quarter = quartiles(point.samples)
    return quarter.high - quarter.low if figure == majority(point.samples) else quarter.low - figure


def _in_turns(old: Point, new: Point, margin: float, level: float) -> PointComparison:
    if len(old.samples) != len(new.samples):
        counts = f"{len(old.samples)} samples beside {len(new.samples)}"
        return _undecided(old, new, f"{counts}: not every one was taken beside another")
    if (least := min(*old.samples, *new.samples)) <= 0:
        return _undecided(old, new, f"a sample is {least:g}: the operation is lost in what measuring it costs")
    olds, news = rounds_of(old.samples), rounds_of(new.samples)
    fewest = fewest_pairs(level)
    if len(olds) < fewest:
        few = f"{len(olds)} samples in turns cannot decide: {fewest} are the fewest, {SAMPLES} the right number"
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
    """What an interval of the median ratio and a p say together, and why nothing follows where nothing does."""
    alike = Interval(low=1 / (1 + margin), high=1 + margin)
    if interval.is_within(alike):
        return Verdict.SAME, ""
    if interval.holds(1):
        return Verdict.INCONCLUSIVE, f"too noisy to tell: neither clear of 1 nor within {margin:.0%} of it"
    if p >= level:
        return Verdict.INCONCLUSIVE, f"clear of 1, but p = {p:.2g} is not below {level:.2g}"
    if interval.low <= alike.high and interval.high >= alike.low:
        # Without this, 2 of 50 trials with two forks of one snapshot, running the same code, were told as a difference.
        return Verdict.INCONCLUSIVE, f"clear of 1, but not of the {margin:.0%} that two guests differ by"
    return (Verdict.SLOWER if interval.low > 1 else Verdict.FASTER), ""


def rounds_of(samples: Sequence[float]) -> list[float]:
    """The least of each round's turns: samples in the order they were taken, `ROUNDS` rounds or a few more.

    Turns beyond the last whole round are left out.
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
"""What of a provenance may change a cost, and what it is called."""


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
        remarks.append(f"kernel, compiler and QEMU were not recorded {' and '.join(unknown)}: they may differ unseen")
    if _unfit(before, after) and not before.source.is_exact and not after.source.is_exact:
        remarks.append("for a verdict measure both side by side, or with --vmlab-timing icount")
    return tuple(remarks)


def _one_or_both(one: str, other: str) -> str:
    return str(one) if one == other else f"{one}, then {other}"
