# SPDX-License-Identifier: MIT
"""What a run hands to everything that works for it."""

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
    """The settings and the store of a run, and its two voices."""

    settings: Settings
    store: Store
    progress: Say = silent
    """Hears each step as it begins."""
    notice: Say = silent
    """Hears what the user should know at the end."""

    @classmethod
    def of(cls, settings: Settings, *, progress: Say = silent, notice: Say = silent) -> Context:
        """A context with the store that the settings name. Touches no disk."""
        store = Store(settings.store, budget_gib=settings.store_gib, shared=settings.shared_store)
        return cls(settings=settings, store=store, progress=progress, notice=notice)

    def tell(self, name: str, what: str, why: str) -> None:
        """Give a notice about a target or an image, which `why` may name as well."""
        self.notice(told_of(name, what, why))

    def retry_lost(self, name: str, what: str, act: Callable[[], T]) -> T:
        """Return what `act` returns, which is tried once more, with a notice, when it raises `MachineLost`."""
        try:
            return act()
        except MachineLost as lost:
            self.tell(name, f"{what}, and tried again", lost.message)
        return act()
