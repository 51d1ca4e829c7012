# SPDX-License-Identifier: MIT
"""`from vmlab import Guest`: lazy, with the same documented names for users and type checkers."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vmlab

_SOURCE = Path(vmlab.__file__)
_REFERENCE = _SOURCE.parents[1] / "docs" / "reference.md"
_NAMES = sorted(set(vmlab.__all__) - {"__version__"})


@pytest.mark.parametrize("name", _NAMES)
def test_each_name_is_there_and_has_a_docstring(name: str) -> None:
    assert getattr(vmlab, name).__name__ == name
    assert getattr(vmlab, name).__doc__


def test_type_checkers_know_the_same_names_from_the_same_places() -> None:
    block = next(node for node in ast.parse(_SOURCE.read_text()).body if isinstance(node, ast.If))
    imports = [each for each in block.body if isinstance(each, ast.ImportFrom)]
    imported = {f"{each.module}.{alias.name}" for each in imports for alias in each.names}

    assert imported == {f"{home}.{name}" for home, names in vmlab._HOMES.items() for name in names}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vmlab' has no attribute 'Gest'"):
        _ = vmlab.Gest  # type: ignore[attr-defined]


def test_importing_the_package_imports_none_of_its_modules() -> None:
    script = "import sys, vmlab; print([name for name in sys.modules if name.startswith('vmlab.')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_the_reference_has_every_name() -> None:
    documented = re.findall(
        r"auto(?!module)\w+:: vmlab\.(\w+)$", _REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE
    )

    assert sorted(documented) == _NAMES


def test_the_reference_lists_every_name_with_the_first_sentence_of_its_docstring() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", _REFERENCE.read_text(encoding="utf-8"), flags=re.MULTILINE))

    assert rows == {name: _first_sentence(getattr(vmlab, name)) for name in _NAMES}


def _first_sentence(documented: object) -> str:
    paragraph = (inspect.getdoc(documented) or "").partition("\n\n")[0]
    return re.split(r"(?<=\.)\s", " ".join(paragraph.split()))[0]


def test_the_command_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "vmlab", "--version"], capture_output=True, text=True, check=True)

    assert done.stdout == f"vmlab {vmlab.__version__}\n"
