# SPDX-License-Identifier: MIT
"""Several processes and one cloud image: one download, and a partial one is continued by another process."""

from __future__ import annotations

import multiprocessing
from concurrent import futures
from pathlib import Path

import publisher as faults

from unit.cloud.offers import PATH, Offered, refusal
from vmlab.cloud.partial import remove_parts
from vmlab.store.store import digest_of
from vmlab.system.wait import wait_until

_FORK = multiprocessing.get_context("fork")


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
    refusal(made)
    (part,) = (made.store.root / "parts").iterdir()
    with made.store.lock(part.name):
        assert list(remove_parts(made.store)) == [], "somebody fetches it"
    assert list(remove_parts(made.store)) == [(part.name, 50_000)]
    assert list((made.store.root / "parts").iterdir()) == []
