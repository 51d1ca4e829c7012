# SPDX-License-Identifier: MIT
"""The target in a test's node id, and what the id is without it."""

from __future__ import annotations

import re
from collections.abc import Iterable


def target_pattern(target_ids: Iterable[str]) -> re.Pattern[str]:
    """Finds the target in a node id's brackets. Longest first: debian12-6.1 is the beginning of debian12-6.1-rt."""
    ids = "|".join(re.escape(name) for name in sorted(target_ids, key=len, reverse=True))
    return re.compile(rf"[\[-]({ids})[\]-]")


def target_of(nodeid: str, pattern: re.Pattern[str]) -> str:
    """The target in a node id; empty when there is none."""
    match = pattern.search(nodeid[nodeid.rfind("[") :]) if "[" in nodeid else None
    return match[1] if match else ""


def short_name(nodeid: str, target: str) -> str:
    """`node::test_ordinary_user_can_read` out of a node id; the target stands beside it already."""
    name = nodeid.rpartition("/")[2].removeprefix("test_").replace(".py::", "::")
    return name.removesuffix(f"[{target}]")
