# SPDX-License-Identifier: MIT
"""What is made once, and what failed once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from vmlab.errors import VmlabError, hides_frames

__tracebackhide__ = hides_frames

T = TypeVar("T")


class LastingFault:
    """Remembers a failure of the given kinds, and raises it again instead of trying again."""

    def __init__(self, *kinds: type[VmlabError], except_for: tuple[type[VmlabError], ...] = ()) -> None:
        self._kinds = kinds
        self._except_for = except_for
        self._fault: VmlabError | None = None

    def guard(self, act: Callable[[], T]) -> T:
        """Return what `act` returns; raises what it raised, now or at an earlier time."""
        if self._fault is not None:
            # Without the traceback of the time before, or it would grow with each.
            raise self._fault.with_traceback(None)
        try:
            return act()
        except self._kinds as fault:
            if not isinstance(fault, self._except_for):
                self._fault = fault
            raise


class Once(Generic[T]):
    """Makes a thing when it is first asked for; a failure of the given kinds is raised again, not tried again."""

    def __init__(self, *kinds: type[VmlabError]) -> None:
        self._fault = LastingFault(*kinds)
        self.made: T | None = None
        """The thing, if it was made."""

    def obtain(self, make: Callable[[], T]) -> T:
        """The thing, made now if it never was; raises what `make` raised, each time."""
        if self.made is None:
            self.made = self._fault.guard(make)
        return self.made
