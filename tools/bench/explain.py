# SPDX-License-Identifier: MIT
"""Limits of the pages in docs/explain/: the experiments' duration, and the pages' download size."""

from __future__ import annotations

from matrix import ROOT, warm
from rows import Limit, Measured

_PAGES = ROOT / "docs" / "explain"


def experiments() -> Measured:
    """Every experiment on the four kernels of the default matrix, in parallel, with everything cached."""
    return warm("tests/kernel")


def largest_page() -> Measured:
    """The larger of the two pages, each standalone."""
    sizes = {path.name: path.stat().st_size for path in sorted(_PAGES.glob("*.html"))}
    return Measured(
        value=max(sizes.values(), default=0) / 1e6, conditions={name: f"{size:,} bytes" for name, size in sizes.items()}
    )


LIMITS = (
    Limit(name="explain.warm", limit=5 * 60, unit="s", measure=experiments),
    Limit(name="explain.page", limit=1, unit="MB", measure=largest_page),
)
