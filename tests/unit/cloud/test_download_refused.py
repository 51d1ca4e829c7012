# SPDX-License-Identifier: MIT
"""Files that are invalid, the wrong image or too large are refused, and leave nothing that looks like an image."""

from __future__ import annotations

import dataclasses
import errno
import os
import shutil

import publisher as faults
import pytest
from publisher import checksum_list

from unit.cloud.offers import LIST, NAME, PATH, Offered, qcow2, refusal
from vmlab.cloud.partial import Part
from vmlab.errors import HostError

_OTHER = qcow2(seed=2)
SIZE = len(qcow2())


@pytest.mark.parametrize("path", [PATH, LIST])
def test_a_captive_portals_page_is_no_image_and_no_list(made: Offered, path: str) -> None:
    made.publisher.order_always(path, faults.portal())
    line = refusal(made)
    assert "web page" in line
    assert "captive portal" in line


def test_another_file_than_the_list_says_is_refused_with_both_digests(made: Offered) -> None:
    made.offer(_OTHER, listed=made.content)
    line = refusal(made)
    row = made.lock.rows[made.image.id]
    assert f"the lock has {row.digest}" in line
    assert line.count("sha256 ") == 1
    assert made.ranges == [""], "a whole file of one answer is not fetched twice"
    made.offer(made.content)
    assert made.fetch().file("disk").read_bytes() == made.content


def test_another_file_than_the_lock_says_is_refused_before_it_is_fetched(made: Offered) -> None:
    locked = made.lock.rows[made.image.id].digest
    made.offer(_OTHER)
    line = refusal(made)
    made.relock()
    assert f"sha256 {made.lock.rows[made.image.id].digest}, the lock has {NAME} with {locked}" in line
    assert f"`vmlab images lock {made.image.id}` locks the new file" in line
    assert made.ranges == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(made: Offered) -> None:
    made.offer(made.content + b"x", listed=made.content)
    assert f"with {SIZE + 1} bytes, the lock has {SIZE}" in refusal(made)


def test_a_file_without_an_end_is_not_followed(made: Offered) -> None:
    made.offer(made.content * 3, listed=made.content)
    made.publisher.order_always(PATH, faults.without_length())
    assert f"is larger than the {SIZE} bytes in the lock" in refusal(made)


def test_an_image_that_is_not_locked_says_what_to_type(made: Offered) -> None:
    made.lock = dataclasses.replace(made.lock, rows={})
    assert f"is not locked: lock.toml does not name the file to fetch (`vmlab images lock {made.image.id}`" in refusal(
        made
    )
    assert made.publisher.asked == []


_LIST = checksum_list({NAME: qcow2()})


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (_LIST[:40], "line 1 is not a checksum: the list is truncated or invalid"),
        (_LIST[:64] + b"\n", "line 1 is not a checksum: the list is truncated or invalid"),
        (_LIST[10:], "line 1 has 54 digits, sha256 has 64: the list is truncated or invalid"),
        (_LIST[:-10], f"does not list {NAME!r}: it lists {NAME[:-9]}"),
        (b"", "contains no sha256 checksum"),
        (checksum_list({"other.qcow2": b"x"}), f"does not list {NAME!r}: it lists other.qcow2"),
        (_LIST + checksum_list({NAME: b"x"}), "with two different checksums"),
        (b"\xff\xfe" + _LIST, "is not UTF-8 text"),
        (checksum_list({NAME: b""}, algorithm="sha512"), "has 128 digits, sha256 has 64"),
        (b"# nothing\n" * 500_000, "is larger than 4 MiB"),
    ],
)
def test_a_list_that_is_not_the_whole_list_of_this_file_is_refused(made: Offered, listed: bytes, told: str) -> None:
    made.publisher.offer(LIST, listed)
    assert told in refusal(made)
    assert made.ranges == []


def test_a_list_whose_connection_is_cut_is_asked_for_again(made: Offered) -> None:
    made.publisher.order(LIST, faults.cut(20))
    made.fetch()
    assert made.waits.seconds == [1.0]


def test_a_list_that_is_always_cut_is_told(made: Offered) -> None:
    made.publisher.order_always(LIST, faults.cut(20))
    assert "127.0.0.1 closed the connection after 20 bytes of its answer" in refusal(made)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (qcow2(backing_offset=0x200), "names a backing file"),
        (qcow2(features=1 << 2), "its data in another file"),
        (qcow2(disk_bytes=2**60), "a disk of 1152921504606846976 bytes"),
        (b"\0" * 510 + b"\x55\xaa" + b"\0" * 5000, "is not a qcow2 but a raw disk"),
    ],
)
def test_a_disk_that_is_not_to_be_trusted_is_refused_also_when_its_checksum_is_right(
    made: Offered, content: bytes, told: str
) -> None:
    made.offer(content)
    made.relock()
    assert told in refusal(made)


def test_without_room_nothing_is_begun(made: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage("/")._replace(free=10 * 2**20)
    monkeypatch.setattr("vmlab.cloud.partial.shutil.disk_usage", lambda _: free)
    with pytest.raises(
        HostError, match=r"no space left in '.*store': 10 MiB free, debian-12.* needs 64 MiB more"
    ) as caught:
        made.fetch()
    assert "vmlab images prune" in caught.value.hint
    assert made.ranges == []


def test_a_disk_that_fills_up_leaves_no_image(made: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Part, "append", refuse)
    with pytest.raises(HostError, match=r"no space left in '.*store': \d+ MiB free") as caught:
        made.fetch()
    assert len(str(caught.value).splitlines()) == 1
    assert not [path for path in made.left if not path.startswith("parts/")]
    monkeypatch.undo()
    assert made.fetch().file("disk").read_bytes() == made.content


def test_no_network_is_told_once_for_all(made: Offered) -> None:
    made.publisher.close()
    assert f"{made.image.id}: 127.0.0.1: connection refused" in refusal(made)


def test_a_name_that_nobody_knows_is_told(made: Offered) -> None:
    image = made.image
    urls, checksums = (
        tuple(url.replace("127.0.0.1", "cloud.invalid") for url in of) for of in (image.urls, image.checksums)
    )
    made.image = dataclasses.replace(image, urls=urls, checksums=checksums)
    assert f"{made.image.id}: cannot resolve 'cloud.invalid'" in refusal(made)
