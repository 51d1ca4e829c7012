# SPDX-License-Identifier: MIT
"""A first vmlab.toml and a first test for a module."""

from __future__ import annotations

import json
from pathlib import Path

from vmlab.errors import UsageError
from vmlab.module.source import Source
from vmlab.module.tree.describe import ABOVE_THE_TREE
from vmlab.module.tree.description import Description

_HEAD = """\
# Settings of vmlab for this module. `vmlab describe .` prints what vmlab understands, with the origin of each fact.
# The keys below are what it found; a key that starts with # is what it would use without this file.
"""
_TEST = '''\
"""First tests of {name}: it builds, loads and unloads on every chosen kernel."""

from vmlab import Built, Guest, is_loaded, remove


def test_loads(guest: Guest, loaded_module: Built) -> None:
    assert is_loaded(guest, loaded_module.info.name)


def test_unloads(guest: Guest, loaded_module: Built) -> None:
    remove(guest, loaded_module.info.name)
    assert not is_loaded(guest, loaded_module.info.name)
'''
_TEST_OF_SEVERAL = '''\
"""First tests of the modules of {name}: each loads, after those that it needs, on every chosen kernel."""

import pytest

from vmlab import BuiltTree, Guest, insert, is_loaded

MODULES = {modules}


@pytest.mark.parametrize("name", MODULES)
def test_loads(guest: Guest, modules: BuiltTree, name: str) -> None:
    insert(guest, modules[name])
    assert is_loaded(guest, modules[name].info.name)
'''


def starter_files(directory: Path, source: Source, description: Description) -> dict[Path, str]:
    """Return the texts of the files that `vmlab init` writes, by path. Raises `UsageError` for a tree whose description
    is not clear. Pure."""
    if not description.modules:
        raise UsageError(
            f"no module of {source.name!r} is known",
            hint="state what makes it: source = '…' and make = { … } in vmlab.toml",
        )
    return {
        directory / "vmlab.toml": _settings(description),
        directory / "tests" / "test_load.py": _test(source, description),
    }


def _settings(description: Description) -> str:
    lines = [_HEAD, 'module = "."']
    if any(note.endswith(ABOVE_THE_TREE) for note in description.notes):
        lines.append('# tree = ".."  # a Kbuild file names a directory above this one: vmlab describe has its line')
    sources = [fact.value for fact in description.sources]
    lines.append(f"# source = {_text(sources if len(sources) > 1 else sources[0])}")
    lines += [f"# prepare = {_text([fact.value for fact in description.prepare])}"] if description.prepare else []
    conditions = dict.fromkeys(module.condition for module in description.modules if module.condition)
    values = {name: fact.value for name, fact in description.make.items()}
    if conditions:
        lines.append(f"make = {_table(values | dict.fromkeys(conditions, 'm'))}  # without them nothing is built")
    elif values:
        lines.append(f"# make = {_table(values)}")
    if len(description.modules) > 1:
        lines.append(f"modules = {_text([module.name for module in description.modules])}  # in the order of loading")
    if description.declared:
        names = ", ".join(parameter.name for parameter in description.declared[:6])
        lines.append(f"# parameters = {{ … }}  # it has {names}")
    if description.firmware:
        names = _text([fact.value for fact in description.firmware])
        lines.append(f"# firmware = {names}  # copied to the guest if the tree has it")
    return "\n".join(lines) + "\n"


def _test(source: Source, description: Description) -> str:
    names = [module.loaded_name for module in description.modules]
    if len(names) > 1 and not source.module:
        return _TEST_OF_SEVERAL.format(name=source.name, modules=json.dumps(names[:50]))
    name = source.module or names[0]
    return _TEST.format(name=name)


def _text(value: object) -> str:
    """Return a text or a list of texts in TOML, whose basic strings are JSON's for printable text."""
    return json.dumps(value, ensure_ascii=False)


def _table(values: dict[str, str]) -> str:
    return f"{{ {', '.join(f'{name} = {_text(text)}' for name, text in values.items())} }}"


def write_new(path: Path, text: str) -> bool:
    """Write a file that does not exist; False, and nothing is written, if it does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
