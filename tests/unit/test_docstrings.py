# SPDX-License-Identifier: MIT
"""Docstrings begin with a noun or a verb, and no test reaches for the private names of another module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TREES = ("vmlab", "tests", "tools", "examples", "docs/explain/builder")
_FILES = [path for tree in _TREES for path in sorted((_ROOT / tree).rglob("*.py"))]
_QUESTION = re.compile(r"(?:What|Whether|How|Where|Which|Why|When|Who)\b")
_PRIVATE = re.compile(r"vmlab(?:\.\w+)*\._[a-zA-Z]")


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings of modules, classes and functions, and those below a field or constant, with their lines."""
    for node in ast.walk(tree):
        for statement in getattr(node, "body", []) if not isinstance(node, ast.Lambda | ast.IfExp) else []:
            value = statement.value if isinstance(statement, ast.Expr) else None
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield statement.lineno, value.value.strip()


def _touches(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Private names that a file takes from another module of vmlab."""
    modules = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vmlab")
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vmlab"):
            yield from ((node.lineno, alias.name) for alias in node.names if _is_private(alias.name))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield from [(node.lineno, ast.unparse(node))] if _is_private(node.attr) else []
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _PRIVATE.match(node.value):
            yield node.lineno, node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("setattr") and len(node.args) > 1:
            name = node.args[1].value if isinstance(node.args[1], ast.Constant) else ""
            yield from [(node.lineno, ast.unparse(node))] if _is_private(str(name)) else []


def _is_private(name: str) -> bool:
    return re.match(r"_[a-zA-Z]", name) is not None


@pytest.mark.parametrize("tree", _TREES)
def test_no_docstring_begins_with_a_question_word(tree: str) -> None:
    found = [
        f"{path.relative_to(_ROOT)}:{line}: {text.splitlines()[0]}"
        for path in _FILES
        if path.is_relative_to(_ROOT / tree)
        for line, text in _docstrings(ast.parse(path.read_text(encoding="utf-8")))
        if _QUESTION.match(text)
    ]

    assert found == []


def test_the_private_names_of_another_module_are_not_touched() -> None:
    found = [
        f"{path.relative_to(_ROOT)}:{line}: {name}"
        for path in _FILES
        for line, name in _touches(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert found == []
