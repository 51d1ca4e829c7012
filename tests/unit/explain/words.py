# SPDX-License-Identifier: MIT
"""Finds in a Chinese text what deviates from the usage of engineers in Taiwan."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from vmlab.decode import read_toml

_LISTS = read_toml(Path(__file__).parent / "words.toml")
_CODE = re.compile(r"`[^`]*`")
_CJK = "\u4e00-\u9fff"
_HALF_WIDTH = re.compile(rf"(?<=[{_CJK}])[,;:?!](?!\d)|(?<=[{_CJK}])\.(?!\w)|[({_CJK}]\)|\((?=[{_CJK}])")
_TIGHT = re.compile(rf"[{_CJK}][A-Za-z0-9]|[A-Za-z0-9][{_CJK}]")


def faults(text: str) -> list[str]:
    """A replacement for each word, character and sign that is not Taiwanese usage; code in backticks is exempt."""
    bare = _CODE.sub("x", text)
    for word in _LISTS["but"]["words"]:
        bare = bare.replace(word, "")
    return list(_faults(bare, _CODE.sub("", text)))


def _faults(bare: str, without_code: str) -> Iterator[str]:
    for word, better in {**_LISTS["words"], **_LISTS["simplified"]}.items():
        if word in bare:
            yield f"{word}: {better}"
    for letter in sorted(set(re.findall(f"[{_CJK}]", bare))):
        # Big5, Taiwan's encoding before Unicode, has no characters of the simplified script.
        try:
            letter.encode("big5")
        except UnicodeEncodeError:
            yield f"{letter}: no character of Taiwan's"
    yield from (f"{found[0]}: a sign of half width after Chinese" for found in _HALF_WIDTH.finditer(without_code))
    yield from (f"{found[0]}: no space between Chinese and Latin" for found in _TIGHT.finditer(without_code))
