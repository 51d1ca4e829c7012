# SPDX-License-Identifier: MIT
"""Hypothesis against a guest: few examples, each one SSH command that asks for many numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

from vmlab.errors import VmlabError

Example = TypeVar("Example")


class _GuestTrouble(BaseException):
    """Carries a guest failure past Hypothesis, which would catch an Exception and crash the kernel again for each
    smaller example."""

    def __init__(self, error: VmlabError) -> None:
        super().__init__(error)
        self.error = error


def require_for_all(
    examples: SearchStrategy[Example], holds: Callable[[Example], None], *, count: int, is_random: bool = False
) -> None:
    """Call `holds` with `count` examples, and raise its error for the smallest failing one.

    The examples are the same in every run unless `is_random`.
    """

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=not is_random,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(examples)
    def hold(example: Example) -> None:
        try:
            holds(example)
        except VmlabError as error:
            raise _GuestTrouble(error) from None

    try:
        hold()
    except _GuestTrouble as trouble:
        raise trouble.error from None
