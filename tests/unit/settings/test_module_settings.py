# SPDX-License-Identifier: MIT
"""The keys that describe a module's tree, in pyproject.toml and vmlab.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.settings import Settings, load_settings, split_module


def _load(directory: Path, text: str, *, file: str = "vmlab.toml") -> Settings:
    (directory / file).write_text(text)
    return load_settings({}, directory=directory, environment={})


def test_vmlab_toml_has_the_settings_of_the_lab_and_of_the_module(tmp_path: Path) -> None:
    text = 'cpus = 3\nmodule = "m"\nsource = "src"\nprepare = ["a", "b"]\nmake = { A = true, B = 1, C = "x y" }\n'

    settings = _load(tmp_path, text)

    assert (settings.cpus, settings.module, settings.origin["cpus"]) == (3, tmp_path / "m", "vmlab.toml")
    stated = settings.stated
    assert (stated.source, stated.prepare, stated.origin("make")) == (("src",), ("a", "b"), "vmlab.toml: make")
    assert stated.make == {"A": "y", "B": "1", "C": "x y"}


def test_pyproject_toml_has_the_same_keys(tmp_path: Path) -> None:
    text = '[tool.vmlab]\nparameters = { n = 3, on = true, fib = { mode = "x" } }\n'

    assert _load(tmp_path, text, file="pyproject.toml").stated.parameters == {"n": "3", "on": "Y", "fib.mode": "x"}


def test_settings_in_both_files_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.vmlab]\ncpus = 3\n")

    with pytest.raises(UsageError, match=r"both pyproject\.toml and vmlab\.toml have settings"):
        _load(tmp_path, "cpus = 2\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sorce = 'x'", "sorce: unknown key (did you mean 'source'?)"),
        ("store = '/tmp'", "store: a project may not set this"),
        ("tree = '/etc'", "tree must be a path relative to this file"),
        ("source = '../x'", "source must be a path in the module's tree"),
        ("source = 3", "source must be a text or a list of texts"),
        ('prepare = "a\\nb"', "prepare must be at most 100 printable texts"),
        ("make = { CC = 'clang' }", "make: CC is set by vmlab"),
        ("make = { 'A-B' = 1 }", "make must have names of letters, digits and underscores"),
        ("make = { A = [] }", "make.A must be a text, a number or true or false"),
        ("packages = ['x=1']", "packages must be the name of a Debian package"),
        ("packages = ['-o']", "packages must be the name of a Debian package"),
        ("modules = ['a b']", "modules must be the name of a module"),
        ("parameters = { 'a=b' = 1 }", "parameters must have names"),
        ("files = { '../x' = 'y' }", "files must be a path in the module's tree"),
        ("firmware = '/etc/shadow'", "firmware must be a path in the module's tree"),
    ],
)
def test_an_invalid_value_is_one_line_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        _load(tmp_path, f"{text}\n")

    assert words in caught.value.one_line
    assert str(tmp_path / "vmlab.toml") in caught.value.message


@pytest.mark.parametrize(
    ("text", "directory", "name"),
    [
        ("m", "m", ""),
        ("m:xoro", "m", "xoro"),
        ("m:a-b", "m", "a-b"),
        ("odd:name", "odd:name", ""),
        ("m:", "m:", ""),
        (":x", ":x", ""),
    ],
)
def test_a_modules_name_follows_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, directory: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd:name").mkdir()

    assert split_module(text) == (directory, name)
