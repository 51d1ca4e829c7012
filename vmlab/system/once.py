# SPDX-License-Identifier: MIT
"""Values that are made once, and failures that are not retried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from vmlab.errors import VmlabError, hides_frames

__tracebackhide__ = hides_frames

T = TypeVar("T")


class LastingFault:
    """Remembers a failure of the given kinds, and raises it again without a retry."""

    def __init__(self, *kinds: type[VmlabError], except_for: tuple[type[VmlabError], ...] = ()) -> None:
        self._kinds = kinds
        self._except_for = except_for
        self._fault: VmlabError | None = None

    def guard(self, act: Callable[[], T]) -> T:
        """Return what `act` returns; raises what it raised, now or at an earlier call."""
        if self._fault is not None:
            # Without the earlier traceback, which would grow with each raise.
            raise self._fault.with_traceback(None)
        try:
            return act()
        except self._kinds as fault:
            if not isinstance(fault, self._except_for):
                self._fault = fault
            raise


class Once(Generic[T]):
    """Makes a value on the first request; a failure of the given kinds is raised again without a retry."""

    def __init__(self, *kinds: type[VmlabError]) -> None:
        self._fault = LastingFault(*kinds)
        self.made: T | None = None
        """The value, once it is made."""

    def obtain(self, make: Callable[[], T]) -> T:
        """Return the value, made by the first call; raises what `make` raised, at every call."""
        if self.made is None:
            self.made = self._fault.guard(make)
        return self.made
