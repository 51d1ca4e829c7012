# SPDX-License-Identifier: MIT
"""A connection made in the background: its first user waits for it, or gets its error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unit.fakes import FakeConsole, FakeTransport
from vmlab.errors import MachineLost
from vmlab.guest.guest import Guest
from vmlab.guest.transport import LateTransport, TransportLost
from vmlab.host.accelerator import Accelerator
from vmlab.host.limits import limits_for


class _Door:
    """Makes a connection when the test allows it, or raises the given error."""

    def __init__(self) -> None:
        self.made = FakeTransport({"uname": "6.1\n"})
        self.error: Exception | None = None
        self.was_asked = threading.Event()
        self.opened = threading.Event()
        self.threads: list[threading.Thread] = []

    def connect(self) -> FakeTransport:
        self.threads.append(threading.current_thread())
        self.was_asked.set()
        assert self.opened.wait(10)
        if self.error is not None:
            raise self.error
        return self.made

    def finish(self) -> None:
        """Allow the connection, and wait until everything that follows from it has happened."""
        self.opened.set()
        assert self.was_asked.wait(10)
        self.threads[0].join(10)


@pytest.fixture
def door() -> Iterator[_Door]:
    door = _Door()
    yield door
    door.finish()
    assert len(door.threads) == 1, "it connects once, whatever was asked"
    assert not door.threads[0].is_alive(), "no thread is left"


def test_connecting_begins_at_once_and_keeps_nobody_waiting(door: _Door) -> None:
    LateTransport(door.connect)
    assert door.was_asked.wait(10), "nobody had to ask for it"
    assert not door.opened.is_set()


def test_who_uses_it_first_waits_for_it(door: _Door) -> None:
    late = LateTransport(door.connect)
    answers: list[str] = []
    user = threading.Thread(target=lambda: answers.append(late.run("uname", timeout_s=5).stdout))
    user.start()
    assert door.was_asked.wait(10)
    user.join(0.1)
    assert user.is_alive()
    assert door.made.commands == []
    door.opened.set()
    user.join(10)
    assert answers == ["6.1\n"]


def test_every_verb_is_passed_on_with_its_limit(door: _Door) -> None:
    door.opened.set()
    late = LateTransport(door.connect)
    assert late.run("uname", timeout_s=1).stdout == "6.1\n"
    late.put(Path("/a"), "/b", timeout_s=2)
    late.get("/c", Path("/d"), timeout_s=3)
    assert door.made.commands == ["uname", "put /a /b", "get /c /d"]
    assert door.made.limits == [1, 2, 3]
    assert late.settle() is door.made


@pytest.mark.parametrize("verb", ["settle", "run", "put", "get"])
def test_what_went_wrong_is_told_to_everyone_who_asks(door: _Door, verb: str) -> None:
    door.error = TransportLost("no route")
    door.opened.set()
    late = LateTransport(door.connect)
    verbs: dict[str, Callable[[], object]] = {
        "settle": late.settle,
        "run": lambda: late.run("true", timeout_s=5),
        "put": lambda: late.put(Path("/a"), "/b", timeout_s=5),
        "get": lambda: late.get("/a", Path("/b"), timeout_s=5),
    }
    for _ in range(2):
        with pytest.raises(TransportLost, match="no route"):
            verbs[verb]()


def test_a_guest_that_could_not_be_reached_is_a_lost_machine_and_no_result(door: _Door) -> None:
    door.error = MachineLost("gave up waiting for the guest's SSH")
    door.opened.set()
    late = LateTransport(door.connect)
    guest = Guest(
        late, root_transport=FakeTransport, limits=limits_for(Accelerator.KVM), console=FakeConsole("console: login\n")
    )
    with pytest.raises(MachineLost, match="gave up waiting"):
        guest.run("true")


def test_closing_does_not_wait_and_closes_once_it_is_made(door: _Door) -> None:
    late = LateTransport(door.connect)
    started = time.monotonic()
    late.close()
    assert time.monotonic() - started < 5, "the door is not open yet"
    assert not door.made.is_closed
    door.finish()
    assert door.made.is_closed


def test_closing_one_that_is_made_closes_it_at_once_and_again_is_safe(door: _Door) -> None:
    door.opened.set()
    late = LateTransport(door.connect)
    late.settle()
    late.close()
    assert door.made.is_closed
    late.close()


@pytest.mark.parametrize("is_late", [True, False])
def test_closing_one_that_never_is_made_is_safe_and_silent(
    door: _Door, is_late: bool, caplog: pytest.LogCaptureFixture
) -> None:
    door.error = TransportLost("no route")
    late = LateTransport(door.connect)
    if is_late:
        door.finish()
    late.close()
    door.finish()
    assert not door.made.is_closed
    assert caplog.records == [], "concurrent.futures logs what a callback raises"
