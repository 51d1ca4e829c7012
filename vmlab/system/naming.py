# SPDX-License-Identifier: MIT
"""Prefix of a message with the name of its target."""

from __future__ import annotations


def told_of(name: str, *parts: str) -> str:
    """Return `NAME: PART: PART` with the name once, even if parts (such as an error's message) begin with it too.

    A variant (`debian12-6.1+icount`) shares its image with its stock target, whose name is removed as well.
    """
    stock = name.partition("+")[0]
    rest = ": ".join(part.removeprefix(f"{name}: ").removeprefix(f"{stock}: ") for part in parts)
    return rest if rest.startswith(f"{name} ") else f"{name}: {rest}"
