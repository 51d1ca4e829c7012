# SPDX-License-Identifier: MIT
"""docs/design.md lists exactly the packages that exist."""

from __future__ import annotations

import re
from pathlib import Path

import vmlab
from unit.layers import LAYERS

_PACKAGE = Path(vmlab.__file__).parent
_PAGE = _PACKAGE.parent / "docs" / "design.md"


def _rows() -> list[list[str]]:
    """The names in each row of the table, from the top."""
    text = _PAGE.read_text(encoding="utf-8")
    cells = [line.split("|")[2] for line in text.splitlines() if line.startswith("| ")][2:]
    return [re.findall(r"`(\w+)`", cell) for cell in cells]


def _layer(name: str) -> int:
    (number,) = (number for number, names in enumerate(LAYERS) if f"vmlab.{name}" in names)
    return number


def test_the_table_names_every_module_and_package_once() -> None:
    named = [name for row in _rows() for name in row]
    there = {path.stem for path in _PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}

    assert sorted(named) == sorted(there - {"__init__", "__main__"})


def test_the_rows_stand_in_the_order_of_the_layers() -> None:
    layers = [{_layer(name) for name in row} for row in _rows()]

    assert all(len(row) == 1 for row in layers)
    assert [min(row) for row in layers] == sorted((min(row) for row in layers), reverse=True)


def test_every_file_that_the_page_names_is_there() -> None:
    named = re.findall(r"`((?:\w+/)+\w+\.py|\w+\.py|(?:\w+/)+)`", _PAGE.read_text(encoding="utf-8"))

    assert len(named) > 5
    assert [name for name in named if not (_PACKAGE / name).exists() and not (_PACKAGE.parent / name).exists()] == []
