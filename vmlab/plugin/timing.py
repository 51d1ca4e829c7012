# SPDX-License-Identifier: MIT
"""Timing in tests: the stopwatch, its measurements, and exclusive use of the host."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

from vmlab.errors import hides_frames
from vmlab.plugin.current import session_of

if TYPE_CHECKING:
    from vmlab.catalogue.target import Target
    from vmlab.guest.guest import Guest
    from vmlab.lab.lab import Lab
    from vmlab.lab.timed import Timed
    from vmlab.plugin.session import GuestSession
    from vmlab.timing.series import Series, TimingSource
    from vmlab.timing.stopwatch import Measurement, Stopwatch

__tracebackhide__ = hides_frames

PLACE = "_VMLAB_PLACE"
"""Environment variable that marks processes of a test that already holds its place on the host."""
NO_PLACE = pytest.StashKey[Exception]()
MARKER = "timing(*sources): The test needs one of these timing sources, else it is skipped; no other guest runs."


@pytest.fixture
def vmlab_timed(request: pytest.FixtureRequest, vmlab_lab: Lab, vmlab_target: Target) -> Iterator[Timed]:
    """The test's guest with its stopwatch. Scope: test. Cost: a fork and the proof of its timing source."""
    from vmlab.lab.timed import SourceUnusable, fork_timed
    from vmlab.plugin.fixtures import lent, stage_for
    from vmlab.plugin.needs import has_network
    from vmlab.timing.series import TimingSource

    accepted = accepted_sources(request.node)
    settings = vmlab_lab.settings
    if accepted and settings.timing not in ("auto", *accepted):
        pytest.skip(f"this test accepts only {' or '.join(accepted)}, and --vmlab-timing is {settings.timing}")
    with contextlib.ExitStack() as stack:
        try:
            started = fork_timed(
                vmlab_lab,
                vmlab_target,
                stage_for(request),
                accepted=accepted,
                has_network=has_network(request.node),
            )
            found = stack.enter_context(started)
        except SourceUnusable as error:
            if not accepted or settings.timing != "auto":
                raise
            pytest.skip(error.message)
        if found.stopwatch.source is TimingSource.CLOCK:
            _require_quiet_host()
        stack.enter_context(lent(request, found.running))
        yield found


@pytest.fixture
def timed_guest(vmlab_timed: Timed) -> Guest:
    """The guest in which the stopwatch measures, for this test only. Scope: test. Cost: see `stopwatch`."""
    return vmlab_timed.running.guest


@pytest.fixture
def stopwatch(vmlab_timed: Timed, timed_guest: Guest) -> Stopwatch:
    """Times operations in a guest for this test only, with the best timing source that works there or the one of
    --vmlab-timing. No other guest runs meanwhile. Scope: test. Cost: a fork, and a few seconds to prove the source; the
    first time for a target also a boot under `-icount`, half a minute or more."""
    del timed_guest  # so that `loaded_module` finds the guest
    return vmlab_timed.stopwatch


@pytest.fixture
def series(pytestconfig: pytest.Config, stopwatch: Stopwatch) -> Callable[[str, Mapping[int, Measurement]], Series]:
    """A function that stores measurements by size under a name, with their provenance, in the result file. Scope: test.
    Cost: see `stopwatch`."""
    kept = session_of(pytestconfig).series

    def keep(name: str, measurements: Mapping[int, Measurement]) -> Series:
        made = stopwatch.series(name, measurements)
        kept.append(made)
        return made

    return keep


def is_timing(item: pytest.Item) -> bool:
    return "vmlab_timed" in getattr(item, "fixturenames", ()) or item.get_closest_marker("timing") is not None


def accepted_sources(item: pytest.Item) -> tuple[TimingSource, ...]:
    """Return the sources that the nearest marker names; an unknown source fails the test."""
    from vmlab.errors import UsageError
    from vmlab.timing.source import parse_sources

    marker = item.get_closest_marker("timing")
    try:
        return parse_sources(marker.args) if marker is not None else ()
    except UsageError as error:
        pytest.fail(error.one_line, pytrace=False)


@contextlib.contextmanager
def room_on_the_host(item: pytest.Item, session: GuestSession) -> Iterator[None]:
    """Hold the host for a timing test exclusively, for any other test as one of several.

    If the lock fails, the test's setup raises the `HostError`.
    """
    from vmlab.errors import HostError
    from vmlab.host.exclusive import alone, beside_others

    if PLACE in os.environ:
        # A run inside a test of another run uses that test's place: waiting for it would be a deadlock.
        yield
        return
    with contextlib.ExitStack() as stack:
        try:
            if is_timing(item):
                stack.enter_context(alone(on_wait=lambda: session.say_waiting(item)))
                stack.enter_context(session.shared_guest_at_rest())
            else:
                with contextlib.ExitStack() as rest:
                    place = beside_others(on_wait=lambda: rest.enter_context(session.shared_guest_at_rest()))
                    stack.enter_context(place)
        except HostError as error:
            item.stash[NO_PLACE] = error
        os.environ[PLACE] = "held"
        stack.callback(os.environ.pop, PLACE, None)
        yield


def _require_quiet_host() -> None:
    from vmlab.host.load import busy_processors, too_busy

    why = too_busy(busy_processors(), os.cpu_count() or 1)
    if why:
        pytest.skip(why)
