# SPDX-License-Identifier: MIT
"""The pages' colours are readable in light and dark mode: WCAG 2 contrast for text of any size."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import builder

_STYLE = (Path(builder.__file__).parent / "style.css").read_text(encoding="utf-8")
_LEAST = 4.5
_PAPERS = ("paper", "box", "answer", "mark")
_INKS = ("ink", "quiet", "link", "bad", "skip", "c0", "c1", "c2", "c3", "c4", "c5")


def _colors(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


_LIGHT = _colors(_STYLE.partition("@media")[0])
_DARK = _colors(_STYLE.partition("prefers-color-scheme: dark")[2].partition("* {")[0])


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_measure_is_that_of_black_on_white() -> None:
    assert round(_contrast("#000000", "#ffffff"), 1) == 21.0


@pytest.mark.parametrize("colors", [_LIGHT, _DARK], ids=["light", "dark"])
def test_every_ink_can_be_read_on_every_paper(colors: dict[str, str]) -> None:
    assert colors.keys() >= {*_PAPERS, *_INKS}
    pairs = {(ink, paper): _contrast(colors[ink], colors[paper]) for ink in _INKS for paper in _PAPERS}
    assert {pair: round(ratio, 2) for pair, ratio in pairs.items() if ratio < _LEAST} == {}
