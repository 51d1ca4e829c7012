# SPDX-License-Identifier: MIT
"""Trees of every kind, described without running anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from modules.trees import Tree, known_trees

from unit.module.tree.trees import tree_of, write_tree
from vmlab.errors import UsageError
from vmlab.module.tree.describe import describe
from vmlab.module.tree.locate import described, read_module
from vmlab.settings import ModuleSettings

_TREES = known_trees()
_CLEAR = [tree for tree in _TREES if not tree.unclear]


@pytest.mark.parametrize("tree", _CLEAR, ids=lambda tree: tree.name)
def test_a_tree_is_described_as_its_table_says(tree: Tree) -> None:
    found = described(read_module(tree.directory))

    assert [fact.value for fact in found.sources] == list(tree.sources)
    assert [f"{module.location}/{module.name}".removeprefix("./") for module in found.modules] == list(tree.modules)
    assert [fact.value for fact in found.prepare] == list(tree.prepare)
    assert {name: fact.value for name, fact in found.make.items()} == dict(tree.make)
    assert [parameter.name for parameter in found.declared] == list(tree.parameters)
    assert [fact.value for fact in found.firmware] == list(tree.firmware)
    assert [fact.value for fact in found.needs] == list(tree.needs)
    assert [fact.value for fact in found.packages] == list(tree.packages)
    assert {module.condition for module in found.modules} == {tree.condition}
    assert found.unclear == ()


@pytest.mark.parametrize("tree", [tree for tree in _TREES if tree.unclear], ids=lambda tree: tree.name)
def test_a_tree_that_is_not_clear_names_the_line(tree: Tree) -> None:
    (line,) = described(read_module(tree.directory)).unclear

    assert line.startswith(tree.unclear)


def test_every_fact_has_its_file_and_line_or_its_setting() -> None:
    (prepared, packaged) = (described(read_module(t.directory)) for t in _TREES if t.name in ("prepared", "packaged"))

    assert prepared.modules[0].origin == "Kbuild:2"
    assert prepared.prepare[0].origin == "vmlab.toml: prepare"
    assert prepared.make["EXTRA"].origin == "vmlab.toml: make"
    assert packaged.prepare[0].origin == "dkms.conf:11 (PRE_BUILD)"
    assert packaged.sources[0].origin == "dkms.conf:4"


def test_the_directory_of_the_sources_finds_the_dkms_conf_above_it() -> None:
    above = next(tree.directory for tree in _TREES if tree.name == "packaged")

    source = read_module(above / "src")

    assert (source.directory, source.within) == (above, "src")
    assert [fact.value for fact in described(source).sources] == ["src"]


def test_a_dkms_conf_above_that_is_for_another_directory_is_not_the_tree(tmp_path: Path) -> None:
    conf = "PACKAGE_NAME=fib\nBUILT_MODULE_LOCATION=src\n"
    files = {"dkms.conf": conf, "src/a/Kbuild": "obj-m := a.o\n", "tests/b/Kbuild": "obj-m := b.o\n"}
    repository = write_tree(tmp_path, files)
    (repository / ".git").mkdir()

    assert read_module(repository / "src" / "a").directory == repository
    assert read_module(repository / "tests" / "b").directory == repository / "tests" / "b"


def test_a_dkms_conf_that_a_package_installs_is_relative_to_the_tree(tmp_path: Path) -> None:
    conf = 'PACKAGE_NAME=fib\nMAKE="make driver"\nBUILT_MODULE_NAME=fib\nBUILT_MODULE_LOCATION=driver\n'
    files = {
        "install/dkms/dkms.conf": conf,
        "Makefile": "driver:\n\t$(MAKE) -C /x M=$(PWD)/driver\n",
        "driver/Kbuild": "obj-m := fib.o\n",
    }

    found = describe(tree_of(tmp_path, files), ModuleSettings())

    assert [(module.location, module.name) for module in found.modules] == [("driver", "fib")]


def test_a_directory_above_the_tree_is_noted_with_its_line(tmp_path: Path) -> None:
    text = "obj-m := a.o\nEXTRA_CFLAGS += -I$(PWD)/../include\n"

    (note,) = describe(tree_of(tmp_path, {"Makefile": text}), ModuleSettings()).notes
    below = describe(tree_of(tmp_path, {"Makefile": "", "b/Makefile": text}), ModuleSettings())

    assert note.startswith("Makefile:2: EXTRA_CFLAGS += -I$(PWD)/../include names a directory above the tree")
    assert below.notes == ()


def test_settings_take_precedence_over_the_files(tmp_path: Path) -> None:
    files = {
        "Makefile": "all: a.h\n\tmake -C /x M=$(PWD)/a A=1 B=1\na.h:\n\tfalse\n",
        "b/Kbuild": "obj-$(CONFIG_C) := c.o\n",
    }
    stated = ModuleSettings(source=("b",), prepare=(), make={"CONFIG_C": "m"}, file=Path("vmlab.toml"))

    found = describe(tree_of(tmp_path, files), stated)

    assert [fact.value for fact in found.sources] == ["b"]
    assert [module.name for module in found.modules] == ["c"]
    assert found.prepare == ()
    assert list(found.make) == ["CONFIG_C"]


def test_one_directory_with_a_module_is_found_below(tmp_path: Path) -> None:
    files = {"Makefile": "all:\n\techo\n", "kernel/a/Kbuild": "obj-m := a.o\n", "docs/Makefile": "all:\n"}

    assert [fact.value for fact in describe(tree_of(tmp_path, files), ModuleSettings()).sources] == ["kernel/a"]


def test_several_directories_with_modules_are_listed(tmp_path: Path) -> None:
    files = {"a/Kbuild": "obj-m := a.o\n", "b/Makefile": "obj-m := b.o\n"}

    with pytest.raises(UsageError, match="has modules in 2 directories: a, b") as caught:
        describe(tree_of(tmp_path, files), ModuleSettings())

    assert f"--vmlab-module {tmp_path}/a" in caught.value.hint


def test_a_directory_without_a_module_is_one_clear_line(tmp_path: Path) -> None:
    write_tree(tmp_path, {"Makefile": "all:\n\tcc main.c\n", "meson.build": ""})

    with pytest.raises(UsageError, match="no Kbuild file and no Makefile of it has `obj-m`") as caught:
        read_module(tmp_path)

    assert "meson.build is not used" in caught.value.message


def test_a_module_that_the_tree_does_not_make_is_named(tmp_path: Path) -> None:
    write_tree(tmp_path, {"Kbuild": "obj-m := a.o b-c.o\n"})

    assert read_module(tmp_path, name="b_c").module == "b_c"
    with pytest.raises(UsageError, match="makes no module 'd'") as caught:
        read_module(tmp_path, name="d")
    assert caught.value.hint == "it makes a, b-c"


def test_a_stated_tree_must_contain_the_module_and_lie_in_the_repository(tmp_path: Path) -> None:
    repository = write_tree(tmp_path / "repository", {"a/Kbuild": "obj-m := a.o\n", "include/a.h": ""})
    (repository / ".git").mkdir()
    write_tree(repository / "a", {"vmlab.toml": 'tree = ".."\n'})

    source = read_module(repository / "a")

    assert (source.within, "include/a.h" in source.files) == ("a", True)
    for wrong in ("../..", "../include", "../none"):
        write_tree(repository / "a", {"vmlab.toml": f'tree = "{wrong}"\n'})
        with pytest.raises(UsageError, match="tree must be"):
            read_module(repository / "a")


def test_a_stated_file_is_a_source_under_its_name_in_the_tree(tmp_path: Path) -> None:
    files = {"m/Kbuild": "obj-m := a.o\n", "m/vmlab.toml": 'files = { "src/blob.o_shipped" = "../blob.o" }\n'}
    write_tree(tmp_path, {**files, "blob.o": "one"})
    (tmp_path / ".git").mkdir()

    first = read_module(tmp_path / "m")
    content, _ = first.read("src/blob.o_shipped")
    (tmp_path / "blob.o").write_text("two")
    second = read_module(tmp_path / "m")

    assert content == b"one"
    assert first.digest != second.digest


def test_a_vmlab_toml_above_the_module_describes_it(tmp_path: Path) -> None:
    repository = write_tree(tmp_path, {"m/a/Kbuild": "obj-m := a.o\n", "vmlab.toml": "make = { A = true, B = 2 }\n"})
    (repository / ".git").mkdir()

    assert read_module(repository / "m" / "a").stated.make == {"A": "y", "B": "2"}


def test_a_loop_of_directories_and_a_hostile_name_end(tmp_path: Path) -> None:
    files = {"Kbuild": "obj-m := ./ a/ ../ /etc/ $(shell id)/\n", "a/Kbuild": "obj-m := ../ ./\nobj-m += x.o\n"}

    found = describe(tree_of(tmp_path, files), ModuleSettings())

    assert [module.name for module in found.modules] == ["x"]
