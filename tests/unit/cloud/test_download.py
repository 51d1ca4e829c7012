# SPDX-License-Identifier: MIT
"""A cloud image is downloaded completely, whatever its server does."""

from __future__ import annotations

import dataclasses

import publisher as faults
import pytest
from publisher import Publisher

from unit.cloud.offers import LIST, NAME, PATH, Offered, qcow2, refusal
from vmlab.system.progress import Progress

_OTHER = qcow2(seed=2)
SIZE = len(qcow2())


def test_an_image_is_fetched_verified_and_sealed(made: Offered) -> None:
    stored = made.fetch()
    assert stored.file("disk").read_bytes() == made.content
    assert (stored.kind, stored.label) == ("cloud-image", made.image.id)
    assert stored.facts["file"] == NAME
    assert stored.facts["from"] == made.publisher.url(PATH)
    assert stored.facts["disk_bytes"] == 2 * 2**30
    assert made.left == [f"objects/cloud-image/{stored.digest}"]
    assert [asked.path for asked in made.publisher.asked] == [LIST, PATH]


def test_what_is_in_the_store_takes_no_connection(made: Offered) -> None:
    first = made.fetch()
    made.publisher.close()
    again = made.fetch()
    assert (again.path, again.is_new) == (first.path, False)


def test_progress_tells_how_far_it_is(made: Offered) -> None:
    made.publisher.order(PATH, faults.slow(400_000))
    made.fetch()
    told = [line for line in made.progress if "MB/s" in line]
    assert len(told) > 1
    assert all(line.startswith(f"{made.image.id}: fetching {NAME}: 0 of 0 MB, ") for line in told)
    assert "s left" in told[0]
    assert "left" not in told[-1]


def test_progress_is_a_line_a_step_where_there_is_no_terminal(made: Offered) -> None:
    made.publisher.order(PATH, faults.slow(400_000))
    made.fetch()
    shown: list[str] = []
    say = Progress(lambda text, _: shown.append(text), is_terminal=lambda: False)

    for line in made.progress:
        say(line)

    steps = ["reading its publisher's checksums", f"fetching {NAME}", f"verifying {NAME}"]
    assert shown == [f"{made.image.id}: {step}" for step in steps]


@pytest.mark.parametrize("tenth", range(1, 10))
def test_a_cut_at_any_tenth_is_gone_on_from_there(made: Offered, tenth: int) -> None:
    at = SIZE * tenth // 10
    made.publisher.order(PATH, faults.cut(at))
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges == ["", f"bytes={at}-"]
    assert made.publisher.asked_for(PATH)[1].if_range.startswith('"')


def test_cut_at_every_tenth_in_a_row_it_arrives(made: Offered) -> None:
    made.publisher.order(PATH, *[faults.cut(SIZE // 10)] * 9)
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges == ["", *(f"bytes={SIZE // 10 * tenth}-" for tenth in range(1, 10))]
    assert made.waits.seconds == [1.0] * 9


def test_a_server_without_entity_tags_is_gone_on_with_by_length(made: Offered) -> None:
    made.publisher.keeps_etags = False
    made.publisher.order(PATH, faults.cut(1000))
    assert made.fetch().file("disk").read_bytes() == made.content
    assert [(asked.range, asked.if_range) for asked in made.publisher.asked_for(PATH)] == [
        ("", ""),
        ("bytes=1000-", ""),
    ]


def test_what_one_process_began_the_next_one_ends(made: Offered) -> None:
    made.publisher.order(PATH, faults.cut(50_000), faults.status(404))
    assert "answered 404" in refusal(made)
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges == ["", "bytes=50000-", "bytes=50000-"]


def test_a_server_without_ranges_gives_it_from_the_beginning(made: Offered) -> None:
    made.publisher.order(PATH, dataclasses.replace(faults.cut(50_000), knows_ranges=False), faults.without_ranges())
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges == ["", "bytes=50000-"]


def test_a_range_that_begins_elsewhere_is_not_taken(made: Offered) -> None:
    made.publisher.order(PATH, faults.cut(50_000), faults.wrong_range())
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges == ["", "bytes=50000-", ""]


def test_a_server_that_tells_no_length_is_read_to_its_end(made: Offered) -> None:
    made.publisher.order(PATH, faults.without_length())
    assert made.fetch().file("disk").read_bytes() == made.content


def test_a_file_that_changed_between_two_ranges_is_not_mixed(made: Offered) -> None:
    made.publisher.order(PATH, faults.cut(50_000))
    made.publisher.after_next(PATH, lambda: made.offer(_OTHER))
    line = refusal(made)
    assert "the lock has" in line
    assert made.ranges == ["", "bytes=50000-"], "the entity tag told that it is another file, and it came whole"


def test_a_change_that_no_entity_tag_tells_is_found_by_the_checksum(made: Offered) -> None:
    made.publisher.keeps_etags = False
    made.publisher.order(PATH, faults.cut(50_000))
    made.publisher.after_next(PATH, lambda: made.publisher.offer(PATH, _OTHER))
    assert "and it is not" not in refusal(made)
    assert made.ranges == ["", "bytes=50000-", ""], "mixed once, then fetched from the beginning"


def test_a_change_back_is_found_and_repaired(made: Offered) -> None:
    made.publisher.keeps_etags = False
    made.publisher.offer(PATH, _OTHER)
    made.publisher.order(PATH, faults.cut(50_000))
    made.publisher.after_next(PATH, lambda: made.publisher.offer(PATH, made.content))
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges == ["", "bytes=50000-", ""]


@pytest.mark.parametrize("number", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(made: Offered, number: int) -> None:
    made.publisher.order(PATH, *[faults.status(number)] * 4)
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.waits.seconds == [1.0, 2.0, 4.0, 8.0]


def test_what_does_not_pass_ends(made: Offered) -> None:
    made.publisher.order_always(PATH, faults.status(503))
    assert f"127.0.0.1 answered 503 Service Unavailable to {made.publisher.url(PATH)}" in refusal(made)
    assert made.waits.seconds == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("number", [400, 401, 403, 404, 410, 451])
def test_what_cannot_pass_is_not_tried_again(made: Offered, number: int) -> None:
    made.publisher.order_always(PATH, faults.status(number))
    assert f"answered {number} " in refusal(made)
    assert made.waits.seconds == []
    assert len(made.publisher.asked_for(PATH)) == 1


def test_a_server_says_when_to_come_back(made: Offered) -> None:
    made.publisher.order(PATH, faults.status(503, retry_after="7"))
    made.fetch()
    assert made.waits.seconds == [7.0]


def test_a_server_that_asks_for_hours_is_not_waited_for(made: Offered) -> None:
    made.publisher.order(PATH, faults.status(429, retry_after="7200"))
    assert "asks for a retry in 7200 s" in refusal(made)


def test_a_redirect_is_followed(made: Offered) -> None:
    with Publisher() as mirror:
        made.publisher.order_always(PATH, faults.redirect(mirror.offer("/mirrored", made.content)))
        assert made.fetch().file("disk").read_bytes() == made.content
        assert len(mirror.asked_for("/mirrored")) == 1


def test_a_redirect_in_circles_ends(made: Offered) -> None:
    made.publisher.order_always(PATH, faults.redirect(PATH))
    assert "too often" in refusal(made)


def test_a_redirect_to_a_file_of_this_host_is_none(made: Offered) -> None:
    made.publisher.order_always(PATH, faults.redirect("file:///etc/passwd"))
    assert "an invalid web address" in refusal(made)


def test_a_server_without_ranges_that_always_breaks_is_given_up(made: Offered) -> None:
    broken = dataclasses.replace(faults.cut(SIZE // 2), knows_ranges=False)
    made.publisher.order_always(PATH, broken)
    assert f"closed the connection after {SIZE // 2} bytes" in refusal(made)
    assert len(made.ranges) == 5
