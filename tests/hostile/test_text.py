# SPDX-License-Identifier: MIT
"""A hostile text reaches no terminal and no file for people with a character that is not printable."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import vmlab
from vmlab.system import output

from .attacks import ATTACKS, PLAIN, around, found_in
from .sinks import MODULES, SHOWS_NO_TEXT, SINKS

_PACKAGE = Path(vmlab.__file__).parent
_PRINTING = {"print", "write_line", "write_sep", "rewrite", "add_report_section", "replace_file"}
_STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
_PRINTERS = ("vmlab.system.output", "vmlab.report.console")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("sink", SINKS)
def test_no_sink_lets_a_control_character_pass(
    sink: str, attack: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told = SINKS[sink](around(ATTACKS[attack]), tmp_path)

    shown = capfd.readouterr()
    said = f"{told or ''}{shown.out}{shown.err}"
    assert found_in(said, colors=sink == "the coloured table") == []


@pytest.mark.parametrize("sink", sorted(SINKS.keys() - SHOWS_NO_TEXT))
def test_every_sink_shows_ordinary_text_as_it_is(sink: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = SINKS[sink](around(""), tmp_path)

    shown = capfd.readouterr()
    said = "".join(f"{told or ''}{shown.out}{shown.err}".split())
    plain = "".join(PLAIN.split())
    assert plain in said or json.dumps(plain)[1:-1] in said


def test_every_module_that_prints_is_in_the_table() -> None:
    there = {_name(path) for path in _PACKAGE.rglob("*.py") if _prints(ast.parse(path.read_text(encoding="utf-8")))}

    assert there - MODULES.keys() == set()


def test_a_module_in_the_table_is_there_and_prints() -> None:
    paths = [_PACKAGE.parent.joinpath(*name.split(".")) for name in MODULES]
    files = [path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py" for path in paths]

    assert [path for path in files if not _prints(ast.parse(path.read_text(encoding="utf-8")))] == []


def test_the_table_names_only_sinks_that_are_attacked() -> None:
    named = {sink for sinks in MODULES.values() if not isinstance(sinks, str) for sink in sinks}

    assert named - SINKS.keys() == set()


@pytest.mark.parametrize(
    "code",
    [
        "print(1)",
        "import sys\nsys.stdout.write('x')",
        "from vmlab.system.output import say",
        "from vmlab.system import output",
        "from rich.console import Console",
        "reporter.write_line('x')",
        "raise pytest.UsageError('x')",
    ],
)
def test_the_search_finds_each_way_to_print(code: str) -> None:
    assert _prints(ast.parse(code))


def _name(path: Path) -> str:
    parts = path.relative_to(_PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _prints(tree: ast.Module) -> bool:
    return any(map(_is_printing, ast.walk(tree)))


def _is_printing(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        return any(f"{name}.".startswith((*(f"{each}." for each in _PRINTERS), "rich.")) for name in names)
    if isinstance(node, ast.Attribute) and node.attr in _STREAMS:
        return ast.unparse(node.value) == "sys"
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func)
        # The lab's own UsageError is printable by itself; pytest's is not.
        return called == "pytest.UsageError" or called.rpartition(".")[2] in _PRINTING
    return False


@pytest.mark.parametrize("text", ["::error::x", "a\n \t::add-mask::x", "a ##[error]x"])
def test_no_line_of_the_command_is_one_to_githubs_runner(
    text: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")

    output.say(text)
    output.warn(text)

    lines = [line for stream in capfd.readouterr() for line in stream.splitlines()]
    assert len(lines) >= 2
    assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]
