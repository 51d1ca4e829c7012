# SPDX-License-Identifier: MIT
"""All imported packages are declared: a transitive dependency may disappear with any release."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_FILE = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
_PROJECT = _FILE["project"]
_EXTRAS = _PROJECT["optional-dependencies"]
_GROUPS = _FILE["dependency-groups"]
# Distributions, by module, that a test environment may lack.
_ABSENT = {"drgn": "drgn", "nox": "nox", "sphinx": "sphinx", "virtme": "virtme-ng", "gmpy2": "gmpy2"}
# Additional packages that a session installs, by the tree that it runs.
_OF_SESSIONS = {"tools/bench": {"virtme-ng"}, "fibdrv/test": {"gmpy2"}}


def _declared(rows: list[str]) -> set[str]:
    return {re.split(r"[\s<>=!~;\[]", row)[0].lower() for row in rows}


_distributions = cache(packages_distributions)


def _needed(files: list[Path], own: set[str]) -> dict[str, str]:
    """Distributions that files import from, each with one location."""
    known = _distributions()
    needed: dict[str, str] = {}
    for path in files:
        for line, module in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            if module in sys.stdlib_module_names or module in own:
                continue
            (name, *_) = known.get(module, [_ABSENT.get(module, f"{module} (of no known distribution)")])
            needed.setdefault(name.lower(), f"{path.relative_to(_ROOT)}:{line}")
    return needed


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module.split(".")[0]


def _own_modules(*trees: str) -> set[str]:
    """Modules of the trees themselves, by the names that sibling files import."""
    files = [path for tree in trees for path in (_ROOT / tree).rglob("*.py")]
    return {path.stem for path in files} | {part for path in files for part in path.relative_to(_ROOT).parts[:-1]}


def test_the_package_imports_only_what_it_declares() -> None:
    needed = _needed(sorted((_ROOT / "vmlab").rglob("*.py")), {"vmlab"})

    missing = {name: where for name, where in needed.items() if name not in _declared(_PROJECT["dependencies"])}

    assert missing == {}


def test_the_package_declares_only_what_it_imports() -> None:
    needed = _needed(sorted((_ROOT / "vmlab").rglob("*.py")), {"vmlab"})

    assert _declared(_PROJECT["dependencies"]) - needed.keys() == set()


@pytest.mark.parametrize("tree", ["tests", "tools", "docs/explain/builder", "fibdrv/test"])
def test_tests_and_pages_import_only_what_their_session_installs(tree: str) -> None:
    files = sorted((_ROOT / tree).rglob("*.py"))
    needed = _needed(files, _own_modules("tests", "tools", "docs/explain/builder", "fibdrv/test") | {"vmlab"})
    allowed = _declared([*_PROJECT["dependencies"], *_GROUPS["test"], *_EXTRAS["dump"]])
    for place, names in _OF_SESSIONS.items():
        allowed |= names if place.startswith(tree) else set()

    assert {name: where for name, where in needed.items() if name not in allowed} == {}


def test_the_documentation_imports_only_what_its_session_installs() -> None:
    requirements = (_ROOT / "docs" / "requirements.txt").read_text(encoding="utf-8").split()

    assert _needed([_ROOT / "docs" / "conf.py"], {"vmlab"}).keys() <= _declared(requirements)


def test_the_sessions_import_only_nox() -> None:
    assert _needed([_ROOT / "noxfile.py"], {"vmlab"}).keys() == {"nox"}


def test_every_declaration_has_a_reason() -> None:
    text = (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    rows = [*_PROJECT["dependencies"], *(row for rows in _EXTRAS.values() for row in rows)]

    assert [row for row in rows if not re.search(rf'^  "{re.escape(row)}", +# \w', text, re.MULTILINE)] == []
