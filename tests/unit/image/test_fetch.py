# SPDX-License-Identifier: MIT
"""A cloud image arrives whole or not at all, whatever its publisher does."""

from __future__ import annotations

import dataclasses
import multiprocessing
import shutil
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import publisher as faults
import pytest
from publisher import Publisher, checksum_list

from unit.image.offers import LIST, NAME, PATH, Offered, offered, qcow2, with_mirror
from vmlab import cli
from vmlab.errors import AssetError, HostError, VmlabError
from vmlab.image.part import remove_parts
from vmlab.store import digest_of
from vmlab.wait import wait_until

_FORK = multiprocessing.get_context("fork")
_OTHER = qcow2(seed=2)
SIZE = len(qcow2())


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Offered]:
    with Publisher() as publisher:
        yield offered(publisher, tmp_path)


def _refusal(made: Offered, kind: type[VmlabError] = AssetError) -> str:
    """The one line that a fetch ends with; nothing may be in the store then that looks like an image."""
    with pytest.raises(kind) as caught:
        made.fetch()
    line = caught.value.one_line
    assert made.image.id in line
    assert len(str(caught.value).splitlines()) == 1 or caught.value.detail
    assert not [path for path in made.left if not path.startswith("parts/")]
    return line


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


def test_progress_is_one_line_on_a_terminal_and_a_line_a_step_elsewhere(
    made: Offered, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made.publisher.order(PATH, faults.slow(400_000))
    made.fetch()
    say = cli._progress()
    for line in made.progress:
        say(line)
    steps = ["reading its publisher's checksums", f"fetching {NAME}", f"verifying {NAME}"]
    assert capsys.readouterr().err.splitlines() == [f"{made.image.id}: {step}" for step in steps]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    say = cli._progress()
    for line in made.progress:
        say(line)
    shown = capsys.readouterr().err
    assert "\n" not in shown
    assert shown.split("\r\x1b[K")[1:] == made.progress


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
    assert "answered 404" in _refusal(made)
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
    line = _refusal(made)
    assert "is locked" in line
    assert made.ranges == ["", "bytes=50000-"], "the entity tag told that it is another file, and it came whole"


def test_a_change_that_no_entity_tag_tells_is_found_by_the_checksum(made: Offered) -> None:
    made.publisher.keeps_etags = False
    made.publisher.order(PATH, faults.cut(50_000))
    made.publisher.after_next(PATH, lambda: made.publisher.offer(PATH, _OTHER))
    assert "and it is not" not in _refusal(made)
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
    assert f"127.0.0.1 answered 503 Service Unavailable to {made.publisher.url(PATH)}" in _refusal(made)
    assert made.waits.seconds == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("number", [400, 401, 403, 404, 410, 451])
def test_what_cannot_pass_is_not_tried_again(made: Offered, number: int) -> None:
    made.publisher.order_always(PATH, faults.status(number))
    assert f"answered {number} " in _refusal(made)
    assert made.waits.seconds == []
    assert len(made.publisher.asked_for(PATH)) == 1


def test_a_server_says_when_to_come_back(made: Offered) -> None:
    made.publisher.order(PATH, faults.status(503, retry_after="7"))
    made.fetch()
    assert made.waits.seconds == [7.0]


def test_a_server_that_asks_for_hours_is_not_waited_for(made: Offered) -> None:
    made.publisher.order(PATH, faults.status(429, retry_after="7200"))
    assert "asks to come back in 7200 s" in _refusal(made)


def test_a_redirect_is_followed(made: Offered) -> None:
    with Publisher() as mirror:
        made.publisher.order_always(PATH, faults.redirect(mirror.offer("/mirrored", made.content)))
        assert made.fetch().file("disk").read_bytes() == made.content
        assert len(mirror.asked_for("/mirrored")) == 1


def test_a_redirect_in_circles_ends(made: Offered) -> None:
    made.publisher.order_always(PATH, faults.redirect(PATH))
    assert "in circles" in _refusal(made)


def test_a_redirect_to_a_file_of_this_host_is_none(made: Offered) -> None:
    made.publisher.order_always(PATH, faults.redirect("file:///etc/passwd"))
    assert "leads to no web address" in _refusal(made)


@pytest.mark.parametrize("path", [PATH, LIST])
def test_a_captive_portals_page_is_no_image_and_no_list(made: Offered, path: str) -> None:
    made.publisher.order_always(path, faults.portal())
    line = _refusal(made)
    assert "web page" in line
    assert "captive portal" in line


def test_another_file_than_the_list_says_is_refused_with_both_digests(made: Offered) -> None:
    made.offer(_OTHER, listed=made.content)
    line = _refusal(made)
    row = made.lock.rows[made.image.id]
    assert f"and {row.digest} is locked" in line
    assert line.count("sha256 ") == 1
    assert made.ranges == [""], "a whole file of one answer is not fetched twice"
    made.offer(made.content)
    assert made.fetch().file("disk").read_bytes() == made.content


def test_another_file_than_the_lock_says_is_refused_before_it_is_fetched(made: Offered) -> None:
    locked = made.lock.rows[made.image.id].digest
    made.offer(_OTHER)
    line = _refusal(made)
    made.relock()
    assert f"sha256 {made.lock.rows[made.image.id].digest}, and {NAME} with {locked} is locked" in line
    assert f"`vmlab images lock {made.image.id}` takes the new one" in line
    assert made.ranges == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(made: Offered) -> None:
    made.offer(made.content + b"x", listed=made.content)
    assert f"with {SIZE + 1} bytes, and {SIZE} are locked" in _refusal(made)


def test_a_file_without_an_end_is_not_followed(made: Offered) -> None:
    made.offer(made.content * 3, listed=made.content)
    made.publisher.order_always(PATH, faults.without_length())
    assert "has no end" in _refusal(made)


def test_an_image_that_is_not_locked_says_what_to_type(made: Offered) -> None:
    made.lock = dataclasses.replace(made.lock, rows={})
    assert f"is not locked: lock.toml does not say which file it is (`vmlab images lock {made.image.id}`" in _refusal(
        made
    )
    assert made.publisher.asked == []


_LIST = checksum_list({NAME: qcow2()})


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (_LIST[:40], "line 1 is no checksum: the list is cut off, or none"),
        (_LIST[:64] + b"\n", "line 1 is no checksum: the list is cut off, or none"),
        (_LIST[10:], "line 1 has 54 digits where sha256 has 64: the list is cut off, or none"),
        (_LIST[:-10], f"does not list {NAME}: it is of other files: {NAME[:-9]}"),
        (b"", "has no sha256 checksum in it"),
        (checksum_list({"other.qcow2": b"x"}), f"does not list {NAME}: it is of other files: other.qcow2"),
        (_LIST + checksum_list({NAME: b"x"}), "twice, with two checksums"),
        (b"\xff\xfe" + _LIST, "is no text"),
        (checksum_list({NAME: b""}, algorithm="sha512"), "has 128 digits where sha256 has 64"),
        (b"# nothing\n" * 500_000, "is larger than 4 MiB"),
    ],
)
def test_a_list_that_is_not_the_whole_list_of_this_file_is_refused(made: Offered, listed: bytes, told: str) -> None:
    made.publisher.offer(LIST, listed)
    assert told in _refusal(made)
    assert made.ranges == []


def test_a_list_whose_connection_is_cut_is_asked_for_again(made: Offered) -> None:
    made.publisher.order(LIST, faults.cut(20))
    made.fetch()
    assert made.waits.seconds == [1.0]


def test_a_list_that_is_always_cut_is_told(made: Offered) -> None:
    made.publisher.order_always(LIST, faults.cut(20))
    assert "127.0.0.1 closed the connection after 20 bytes of its answer" in _refusal(made)


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
        _refusal(made)
        assert made.fetch().file("disk").read_bytes() == made.content
        assert made.ranges == ["", "bytes=50000-", "bytes=50000-"]


def test_a_server_without_ranges_that_always_breaks_is_given_up(made: Offered) -> None:
    broken = dataclasses.replace(faults.cut(SIZE // 2), knows_ranges=False)
    made.publisher.order_always(PATH, broken)
    assert f"closed the connection after {SIZE // 2} bytes" in _refusal(made)
    assert len(made.ranges) == 5


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
        with pytest.raises(AssetError, match=r"none of its 2 addresses gave it; the first: .* 404 ") as caught:
            made.fetch()
        assert [line.split()[2] for line in caught.value.detail.splitlines()] == ["404", "403"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (qcow2(backing_offset=0x200), "names a backing file"),
        (qcow2(features=1 << 2), "keeps its data in another file"),
        (qcow2(disk_bytes=2**60), "claims a disk of 1152921504606846976 bytes"),
        (b"\0" * 510 + b"\x55\xaa" + b"\0" * 5000, "is no qcow2, but a raw disk"),
    ],
)
def test_a_disk_that_is_not_to_be_trusted_is_refused_also_when_its_checksum_is_right(
    made: Offered, content: bytes, told: str
) -> None:
    made.offer(content)
    made.relock()
    assert told in _refusal(made)


def test_without_room_nothing_is_begun(made: Offered, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage("/")._replace(free=10 * 2**20)
    monkeypatch.setattr("vmlab.image.part.shutil.disk_usage", lambda _: free)
    with pytest.raises(
        HostError, match=r"no space left in '.*store': 10 MiB free, debian-12.* takes 64 more"
    ) as caught:
        made.fetch()
    assert "vmlab images prune" in caught.value.hint
    assert made.ranges == []


def test_a_disk_that_fills_up_leaves_no_image(made: Offered) -> None:
    inputs = {"algorithm": "sha256", "digest": made.lock.rows[made.image.id].digest}
    part = made.store.directory(f"parts/cloud-image-{digest_of(inputs)}") / "data"
    part.symlink_to("/dev/full")  # every write to it fails as on a full disk; full(4)
    with pytest.raises(HostError, match=r"no space left in '.*store': \d+ MiB free") as caught:
        made.fetch()
    assert len(str(caught.value).splitlines()) == 1
    assert not [path for path in made.left if not path.startswith("parts/")]
    part.unlink()
    assert made.fetch().file("disk").read_bytes() == made.content


def test_no_network_is_told_once_for_all(made: Offered) -> None:
    made.publisher.close()
    assert f"{made.image.id}: 127.0.0.1: connection refused" in _refusal(made)


def test_a_name_that_nobody_knows_is_told(made: Offered) -> None:
    image = made.image
    urls, checksums = (
        tuple(url.replace("127.0.0.1", "cloud.invalid") for url in of) for of in (image.urls, image.checksums)
    )
    made.image = dataclasses.replace(image, urls=urls, checksums=checksums)
    assert f"{made.image.id}: the name cloud.invalid cannot be resolved" in _refusal(made)


def _fetch_in_a_process(made: Offered, journal: Path) -> None:
    stored = made.fetch()
    with journal.open("a") as stream:
        stream.write(f"{stored.digest} {'fetched' if stored.is_new else 'taken'}\n")


def test_two_processes_that_want_one_image_fetch_it_once(made: Offered, tmp_path: Path) -> None:
    made.publisher.order_always(PATH, faults.slow(400_000))
    journal = tmp_path / "journal"
    workers = [_FORK.Process(target=_fetch_in_a_process, args=(made, journal)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    lines = [line.split() for line in journal.read_text().splitlines()]
    assert len({digest for digest, _ in lines}) == 1
    assert sorted(how for _, how in lines) == ["fetched", "taken"]
    assert made.ranges == [""]


def test_who_waits_for_another_process_says_so(made: Offered) -> None:
    inputs = {"algorithm": "sha256", "digest": made.lock.rows[made.image.id].digest}
    with futures.ThreadPoolExecutor() as pool:
        with made.store.lock(f"cloud-image-{digest_of(inputs)}"):
            waiting = pool.submit(made.fetch)
            wait_until(lambda: made.progress, timeout_s=20, describe="it to say that it waits", interval_s=0.01)
            assert made.progress == [f"{made.image.id}: another run is fetching this image, waiting for it"]
            assert made.publisher.asked == []
        assert waiting.result(20).file("disk").read_bytes() == made.content


def test_what_a_killed_process_had_the_next_one_goes_on_with(made: Offered, tmp_path: Path) -> None:
    made.publisher.order(PATH, faults.slow(100_000))
    worker = _FORK.Process(target=_fetch_in_a_process, args=(made, tmp_path / "journal"))
    worker.start()
    parts = made.store.root / "parts"

    def begun() -> bool:
        return any(path.stat().st_size for path in parts.glob("*/data"))

    wait_until(begun, timeout_s=20, describe="the first bytes", interval_s=0.02)
    worker.kill()
    worker.join(10)
    assert made.fetch().file("disk").read_bytes() == made.content
    assert made.ranges[0] == ""
    assert made.ranges[1].startswith("bytes=")


def test_parts_that_nobody_fetches_are_removed(made: Offered) -> None:
    made.publisher.order(PATH, faults.cut(50_000), faults.status(404))
    _refusal(made)
    (part,) = (made.store.root / "parts").iterdir()
    with made.store.lock(part.name):
        assert list(remove_parts(made.store)) == [], "somebody fetches it"
    assert list(remove_parts(made.store)) == [(part.name, 50_000)]
    assert list((made.store.root / "parts").iterdir()) == []
