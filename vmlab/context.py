# SPDX-License-Identifier: MIT
"""The context of a run: settings, store, progress and notices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from vmlab.errors import MachineLost, hides_frames
from vmlab.settings import Settings
from vmlab.store.store import Store
from vmlab.system.naming import told_of

__tracebackhide__ = hides_frames

T = TypeVar("T")
Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The settings and the store of a run, and two callbacks for messages to the user."""

    settings: Settings
    store: Store
    progress: Say = silent
    """Called with each step when it begins."""
    notice: Say = silent
    """Called with each notice that the run prints at its end."""

    @classmethod
    def of(cls, settings: Settings, *, progress: Say = silent, notice: Say = silent) -> Context:
        """Return a context with the store that the settings name. Does not access the disk."""
        store = Store(settings.store, budget_gib=settings.store_gib, shared=settings.shared_store, notice=notice)
        return cls(settings=settings, store=store, progress=progress, notice=notice)

    def tell(self, name: str, what: str, why: str) -> None:
        """Give a notice about a target or an image; a name at the start of `why` is not repeated."""
        self.notice(told_of(name, what, why))

    def retry_lost(self, name: str, what: str, act: Callable[[], T]) -> T:
        """Return the result of `act`, which is retried once, with a notice, if it raises `MachineLost`."""
        try:
            return act()
        except MachineLost as lost:
            self.tell(name, f"{what}, and retried", lost.message)
        return act()
