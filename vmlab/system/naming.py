# SPDX-License-Identifier: MIT
"""The name of a target in front of what is told of it."""

from __future__ import annotations


def told_of(name: str, *parts: str) -> str:
    """`NAME: PART: PART` with the name once, whichever of the parts, an error's message perhaps, begin with it too.

    A variant (`debian12-6.1+icount`) shares its image with its stock target, whose name is left out as well.
    """
    stock = name.partition("+")[0]
    rest = ": ".join(part.removeprefix(f"{name}: ").removeprefix(f"{stock}: ") for part in parts)
    return rest if rest.startswith(f"{name} ") else f"{name}: {rest}"
