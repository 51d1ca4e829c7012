# SPDX-License-Identifier: MIT
"""One booted guest per target, used by test after test and replaced when it is not to be trusted any more."""

from __future__ import annotations

import contextlib

from vmlab.errors import MachineLost, VmlabError
from vmlab.guest.guest import Guest
from vmlab.lab import Lab
from vmlab.target import Target

_MOST_BOOTS = 4


class GivenUp(VmlabError):
    """The target's guest broke again and again: its remaining tests are not run."""


class SharedGuest:
    """Boots when first asked for a guest, and again after the old one was marked dirty, a few times."""

    def __init__(self, lab: Lab, target: Target) -> None:
        self._lab = lab
        self._target = target
        self._stack = contextlib.ExitStack()
        self._guest: Guest | None = None
        self._dirt = ""
        self._first_dirt = ""
        self._boots = 0
        self.log_position: int | None = None
        """How far the kernel log was looked through; None on a fresh guest."""
        self._refusal: VmlabError | None = None

    def get(self) -> Guest:
        """A guest to be trusted; costs a boot the first time and after each mishap.

        Raises `GivenUp` after several, and again what the first boot raised: an image that cannot be built is not
        tried anew for each test.
        """
        if self._refusal is not None:
            raise self._refusal
        if self._guest is not None and not self._dirt:
            return self._guest
        self.close()
        if self._boots == _MOST_BOOTS:
            self._refusal = GivenUp(
                f"{self._target.id} was given up: its guest broke {_MOST_BOOTS} times, first by: {self._first_dirt}"
            )
            raise self._refusal
        self._boots += 1
        try:
            self._guest = self._stack.enter_context(self._lab.boot(self._target)).guest
        except MachineLost as lost:
            self.mark_dirty(lost.message)
            raise
        except VmlabError as error:
            self._refusal = error
            raise
        return self._guest

    def mark_dirty(self, why: str) -> None:
        """Do not use this guest for another test."""
        self._dirt = why
        self._first_dirt = self._first_dirt or why

    def close(self) -> None:
        """Give the guest back."""
        self._guest = None
        self._dirt = ""
        self.log_position = None
        self._stack.close()
