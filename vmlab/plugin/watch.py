# SPDX-License-Identifier: MIT
"""The kernel of a test's guest, looked at before and after the test."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from vmlab.errors import KernelTrouble, MachineLost, VmlabError
from vmlab.guest.guest import Guest
from vmlab.guest.splat import Splat, describe, find_splats
from vmlab.guest.taint import unexpected
from vmlab.plugin.shared import SharedGuest

_NO_VERDICT = (MachineLost, pytest.skip.Exception, KeyboardInterrupt, SystemExit, pytest.exit.Exception)
"""After these nobody waits for a guest's answer."""


@dataclass(slots=True)
class KernelWatch:
    """One guest's kernel log and taint during one test."""

    guest: Guest
    item: pytest.Item
    shared: SharedGuest | None
    after: int
    taint: int

    @classmethod
    def begin(cls, guest: Guest, item: pytest.Item, shared: SharedGuest | None) -> KernelWatch:
        # Going on from the last test's look saves one of two, and leaves no gap in which a fixture's trouble hides.
        known = shared.log_position if shared is not None else None
        after = guest.log.position() if known is None else known
        return cls(guest, item, shared, after, guest.log.taint)

    def require_quiet(self) -> None:
        """Raise `KernelTrouble` when the kernel reported trouble while the test ran, however the test ended."""
        splats = self._splats()
        if splats:
            raise KernelTrouble(f"kernel: {splats[0].title}", detail=describe(splats))

    def explain(self, error: BaseException) -> None:
        """Add to a failed test what the kernel reported meanwhile."""
        if isinstance(error, MachineLost):
            self._mark_dirty(error.message)
        if isinstance(error, _NO_VERDICT):
            return
        try:
            splats = self._splats()
        except VmlabError as lost:
            error.add_note(f"the kernel log could not be read: {lost.message}")
            return
        for splat in splats:
            error.add_note(f"kernel: {splat.title}")
        if splats:
            self.item.add_report_section("call", "kernel log", describe(splats))

    def _splats(self) -> list[Splat]:
        try:
            records = self.guest.log.after(self.after)
        except MachineLost as lost:
            self._mark_dirty(lost.message)
            raise
        splats = find_splats(records)
        if self.shared is not None:
            self.shared.log_position = max([self.after, *(record.sequence for record in records)])
        taints = unexpected(self.taint, self.guest.log.taint)
        if splats:
            self._mark_dirty(splats[0].title)
        elif taints:
            self._mark_dirty(f"tainted: {', '.join(taints)}")
        return splats

    def _mark_dirty(self, why: str) -> None:
        if self.shared is not None:
            self.shared.mark_dirty(why)
