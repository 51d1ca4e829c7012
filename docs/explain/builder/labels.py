# SPDX-License-Identifier: MIT
"""Labels on the pages, in both languages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup, escape

from builder.question import Language, Text
from vmlab.decode import read_toml, structure

_FILE = Path(__file__).parent / "labels.toml"


def read_labels(language: Language) -> Mapping[str, str]:
    """Every label in one language."""
    data = read_toml(_FILE)
    return {name: structure(row, Text, where=f"{_FILE.name}: {name}").in_(language) for name, row in data.items()}


def with_code(text: str) -> Markup:
    """Text as HTML: backticks mark code, and everything else is plain text."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
