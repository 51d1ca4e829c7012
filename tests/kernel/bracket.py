# SPDX-License-Identifier: MIT
"""The two kernels of a run between which an answer changed. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .release import line_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """The last kernel with the old answer and the first with the new one: releases, and the targets that ran them."""

    before: str
    before_target: str
    before_answer: str | int | bool
    after: str
    after_target: str
    after_answer: str | int | bool


def bracket(rows: Iterable[Mapping[str, Any]], key: str, fact: str) -> Bracket | None:
    """Find where one fact of a findings file changed; each row must also have a fact `release`. None when all kernels
    agree. `ValueError` when it changed more than once, or when no row has it."""
    found = sorted(
        (line_of(str(each["facts"]["release"])), str(each["facts"]["release"]), str(row["target"]), each["facts"][fact])
        for row in rows
        for each in row["findings"]
        if each["key"] == key
    )
    if not found:
        raise ValueError(f"no finding {key!r}")
    changes = [pair for pair in itertools.pairwise(found) if pair[0][3] != pair[1][3]]
    if len(changes) > 1:
        raise ValueError(f"{key}: {fact} changed {len(changes)} times: {[(each[2], each[3]) for each in found]}")
    if not changes:
        return None
    (_, before, before_target, old), (_, after, after_target, new) = changes[0]
    return Bracket(
        before=before,
        before_target=before_target,
        before_answer=old,
        after=after,
        after_target=after_target,
        after_answer=new,
    )
