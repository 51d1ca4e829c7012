# SPDX-License-Identifier: MIT
"""Pairs the series of two documents and compares each pair."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from vmlab.errors import UsageError
from vmlab.timing.compare import Comparison, Difference, Rules, Verdict, compare, overall
from vmlab.timing.document import SeriesDocument
from vmlab.timing.series import Series


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentComparison:
    """Comparison of two documents."""

    series: tuple[Comparison, ...]
    only_before: tuple[str, ...] = ()
    """Series measured only before, as `name on target`."""
    only_after: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    """Differences between the hosts and between the versions of vmlab."""

    @property
    def verdict(self) -> Verdict:
        """Overall verdict; a series or size that is missing after makes it inconclusive."""
        gone = [Verdict.INCONCLUSIVE] if self.only_before or any(row.only_before for row in self.series) else []
        return overall([row.verdict for row in self.series] + gone)


def compare_documents(before: SeriesDocument, after: SeriesDocument, rules: Rules | None = None) -> DocumentComparison:
    """Compare the series that both documents have, paired by name and target.

    Raises `UsageError` if they have no series in common, and the errors of `compare`.
    """
    pairs, only_before, only_after = paired(before.series, after.series)
    if not pairs:
        raise UsageError(
            "the two documents have no series in common",
            hint=f"before: {_listed(only_before)}; after: {_listed(only_after)}",
        )
    return DocumentComparison(
        series=tuple(compare(old, new, rules) for old, new in pairs),
        only_before=tuple(_name(row) for row in only_before),
        only_after=tuple(_name(row) for row in only_after),
        differences=_differences(before, after),
    )


def paired(
    before: Sequence[Series], after: Sequence[Series]
) -> tuple[list[tuple[Series, Series]], list[Series], list[Series]]:
    """Return the pairs, the series only before, and the series only after.

    Series of the same source and unit are paired first.
    """
    alike, before, after = _matches(before, after, lambda row: (row.name, row.target, row.source, row.unit))
    named, before, after = _matches(before, after, lambda row: (row.name, row.target))
    return alike + named, list(before), list(after)


def _matches(
    before: Sequence[Series], after: Sequence[Series], key: Callable[[Series], Hashable]
) -> tuple[list[tuple[Series, Series]], list[Series], list[Series]]:
    """Return the pairs with equal keys, and the rest of each side."""
    left = list(after)
    pairs, unpaired = [], []
    for old in before:
        match = next((new for new in left if key(new) == key(old)), None)
        if match is None:
            unpaired.append(old)
        else:
            left.remove(match)
            pairs.append((old, match))
    return pairs, unpaired, left


def _differences(before: SeriesDocument, after: SeriesDocument) -> tuple[Difference, ...]:
    rows = [("vmlab", before.vmlab, after.vmlab)]
    # Result files of earlier versions do not name their host; do not report that as a difference.
    if before.host and after.host:
        words = dict.fromkeys((*before.host, *after.host))
        rows += [(f"host's {word}", before.host.get(word, "-"), after.host.get(word, "-")) for word in words]
    return tuple(Difference(what=what, before=one, after=other) for what, one, other in rows if one != other)


def _name(series: Series) -> str:
    return f"{series.name} on {series.target}"


def _listed(series: Sequence[Series]) -> str:
    return ", ".join(_name(row) for row in series)
