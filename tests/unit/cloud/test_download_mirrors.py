# SPDX-License-Identifier: MIT
"""Several addresses of one cloud image: the next one is used when one fails."""

from __future__ import annotations

import publisher as faults
import pytest
from publisher import Publisher

from unit.cloud.offers import LIST, PATH, Offered, qcow2, refusal, with_mirror
from vmlab.errors import AssetError

_OTHER = qcow2(seed=2)


def test_another_mirror_is_asked_when_one_fails(made: Offered) -> None:
    with Publisher() as mirror:
        with_mirror(made, mirror)
        made.publisher.order_always(PATH, faults.status(404))
        assert made.fetch().facts["from"] == mirror.url(PATH)


def test_what_one_mirror_began_another_one_ends(made: Offered) -> None:
    with Publisher() as mirror:
        with_mirror(made, mirror)
        made.publisher.order(PATH, faults.cut(50_000), faults.status(404))
        assert made.fetch().file("disk").read_bytes() == made.content
        assert [(asked.range, asked.if_range) for asked in mirror.asked_for(PATH)] == [("bytes=50000-", "")]


def test_a_mirror_with_another_file_costs_nothing_of_what_is_there(made: Offered) -> None:
    with Publisher() as mirror:
        with_mirror(made, mirror)
        mirror.offer(PATH, made.content + b"x")
        made.publisher.order(PATH, faults.cut(50_000), faults.status(404))
        refusal(made)
        assert made.fetch().file("disk").read_bytes() == made.content
        assert made.ranges == ["", "bytes=50000-", "bytes=50000-"]


def test_a_mirror_that_is_behind_does_not_stop_one_that_is_not(made: Offered) -> None:
    with Publisher() as mirror:
        with_mirror(made, mirror)
        made.offer(_OTHER)
        assert made.fetch().facts["from"] == mirror.url(PATH)


def test_when_all_mirrors_fail_each_ones_reason_is_there(made: Offered) -> None:
    with Publisher() as mirror:
        with_mirror(made, mirror)
        made.publisher.order_always(PATH, faults.status(404))
        mirror.order_always(LIST, faults.status(403))
        with pytest.raises(AssetError, match=r"all of its 2 addresses failed, the first with: .* 404 ") as caught:
            made.fetch()
        assert [line.split()[2] for line in caught.value.detail.splitlines()] == ["404", "403"]
