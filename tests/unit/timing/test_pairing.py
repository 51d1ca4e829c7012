# SPDX-License-Identifier: MIT
"""Only comparable series are compared, and those without a counterpart are listed."""

from __future__ import annotations

import pytest

from vmlab.errors import UsageError
from vmlab.timing.compare import Verdict
from vmlab.timing.pairing import compare_documents
from vmlab.timing.series import Series, TimingSource, Unit

from .measures import document, series


def _exact(cost: float, name: str = "fib", target: str = "debian12-6.1") -> Series:
    return series([cost], source=TimingSource.EMULATED_PMU, unit=Unit.INSTRUCTIONS, name=name, target=target)


def test_series_are_paired_by_name_and_target_whatever_their_order() -> None:
    before = document(_exact(1, "a"), _exact(2, "a", "debian13-7.3"), _exact(3, "b"))
    after = document(_exact(6, "b"), _exact(4, "a", "debian13-7.3"), _exact(2, "a"))
    compared = compare_documents(before, after)
    assert [(row.name, row.target, row.points[0].ratio) for row in compared.series] == [
        ("a", "debian12-6.1", 2),
        ("a", "debian13-7.3", 2),
        ("b", "debian12-6.1", 2),
    ]


def test_what_is_on_one_side_alone_is_listed_and_what_is_gone_is_not_fine() -> None:
    compared = compare_documents(document(_exact(1), _exact(1, "old")), document(_exact(1), _exact(1, "new")))
    assert (compared.only_before, compared.only_after) == (("old on debian12-6.1",), ("new on debian12-6.1",))
    assert compared.verdict is Verdict.INCONCLUSIVE
    more = compare_documents(document(_exact(1)), document(_exact(1), _exact(1, "new")))
    assert more.verdict is Verdict.SAME


def test_a_size_that_is_gone_is_not_fine() -> None:
    before = series({1: [1.0], 2: [1.0]}, source=TimingSource.ICOUNT)
    after = series({1: [1.0]}, source=TimingSource.ICOUNT)
    assert compare_documents(document(before), document(after)).verdict is Verdict.INCONCLUSIVE
    assert compare_documents(document(after), document(before)).verdict is Verdict.SAME


def test_where_a_name_has_several_sources_like_goes_to_like() -> None:
    exact, clock = _exact(5), series([7.0])
    compared = compare_documents(document(exact, clock), document(clock, exact))
    assert [(row.source, row.verdict) for row in compared.series] == [
        ("emulated-pmu", Verdict.SAME),
        ("clock", Verdict.INCONCLUSIVE),
    ]


def test_nothing_in_common_is_one_line_that_lists_both() -> None:
    with pytest.raises(UsageError, match="no series in common") as caught:
        compare_documents(document(_exact(1, "a")), document(_exact(1, "b")))
    assert "before: a on debian12-6.1; after: b on debian12-6.1" in str(caught.value)
    with pytest.raises(UsageError, match="no series in common"):
        compare_documents(document(), document())


def test_another_host_or_another_vmlab_is_told_and_an_unrecorded_host_is_no_difference() -> None:
    before = document(_exact(1), host={"processor": "EPYC", "cores": "2"})
    after = document(_exact(1), host={"processor": "Xeon"}, vmlab="0.2.0")
    told = [(row.what, row.before, row.after) for row in compare_documents(before, after).differences]
    assert told == [("vmlab", "0.1.0", "0.2.0"), ("host's processor", "EPYC", "Xeon"), ("host's cores", "2", "-")]
    assert compare_documents(before, document(_exact(1), host={})).differences == ()
