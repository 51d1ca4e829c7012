# SPDX-License-Identifier: MIT
"""What a run makes once for each target: the thing itself, or the fault for which there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from vmlab.errors import VmlabError, hides_frames

__tracebackhide__ = hides_frames

T = TypeVar("T")


class Once(Generic[T]):
    """Makes each thing when it is first asked for; a fault of the `lasting` kinds is not tried anew but told again."""

    def __init__(self, *lasting: type[VmlabError]) -> None:
        self._lasting = lasting
        self._made: dict[str, T] = {}
        self._faults: dict[str, VmlabError] = {}

    def obtain(self, name: str, make: Callable[[], T]) -> T:
        """The thing of that name, made now if it never was; raises what `make` raised, each time it is asked for."""
        if name in self._faults:
            # Without the traceback of the time before, or it would grow with each.
            raise self._faults[name].with_traceback(None)
        if name not in self._made:
            try:
                self._made[name] = make()
            except self._lasting as fault:
                self._faults[name] = fault
                raise
        return self._made[name]

    def there_already(self, name: str) -> T | None:
        """The thing of that name if it was made."""
        return self._made.get(name)
