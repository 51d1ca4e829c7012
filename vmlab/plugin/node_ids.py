# SPDX-License-Identifier: MIT
"""Parsing of the target in a test's node id."""

from __future__ import annotations

import re
from collections.abc import Iterable


def target_pattern(target_ids: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that finds the target in a node id. Longest first: debian12-6.1 begins debian12-6.1-rt."""
    ids = "|".join(re.escape(name) for name in sorted(target_ids, key=len, reverse=True))
    return re.compile(rf"[\[-]({ids})[\]-]")


def target_of(nodeid: str, pattern: re.Pattern[str]) -> str:
    """Return the target in a node id; an empty string if there is none."""
    match = pattern.search(nodeid[nodeid.rfind("[") :]) if "[" in nodeid else None
    return match[1] if match else ""


def short_name(nodeid: str, target: str) -> str:
    """Shorten a node id to `node::test_ordinary_user_can_read`, without directory and target."""
    name = nodeid.rpartition("/")[2].removeprefix("test_").replace(".py::", "::")
    return name.removesuffix(f"[{target}]")
