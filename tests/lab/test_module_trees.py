# SPDX-License-Identifier: MIT
"""Trees of every kind: described, built, loaded with what they need, and unloaded, or told why not.

tests/modules/modules.toml has what is expected of each.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from modules.trees import Tree, known_trees
from unit.module.tree.trees import write_tree

from vmlab.errors import BuildError, GuestError
from vmlab.guest.guest import Guest
from vmlab.lab.testbed import Testbed
from vmlab.module.load import insert, is_loaded, remove_with_needs
from vmlab.module.tree.locate import read_module
from vmlab.settings import BuildPlace

_TREES = known_trees()


def _require_packages(testbed: Testbed, tree: Tree) -> None:
    """Skip a tree that needs packages on a target whose tool root takes none."""
    if tree.packages and (testbed.target.cloud is not None or testbed.build_place is BuildPlace.GUEST):
        pytest.skip("packages are installed for builds on the host, and for targets that are made from packages")


@pytest.mark.parametrize("tree", [tree for tree in _TREES if tree.unclear], ids=lambda tree: tree.name)
def test_a_shell_and_make_tell_what_the_files_do_not(vmlab_testbed: Testbed, tree: Tree) -> None:
    found = vmlab_testbed.describe(read_module(tree.directory))

    assert [fact.value for fact in found.sources] == list(tree.sources)
    assert [f"{module.location}/{module.name}" for module in found.modules] == list(tree.modules)
    assert {name: fact.value for name, fact in found.make.items()} == dict(tree.make)
    assert found.unclear == ()


@pytest.mark.parametrize("tree", [tree for tree in _TREES if tree.builds], ids=lambda tree: tree.name)
def test_a_tree_that_cannot_be_built_says_why(vmlab_testbed: Testbed, tree: Tree) -> None:
    with pytest.raises(BuildError) as caught:
        vmlab_testbed.build_tree(read_module(tree.directory))

    assert tree.builds in caught.value.message


@pytest.mark.parametrize("tree", [tree for tree in _TREES if not tree.builds], ids=lambda tree: tree.name)
def test_every_module_of_a_tree_comes_out(vmlab_testbed: Testbed, tree: Tree) -> None:
    _require_packages(vmlab_testbed, tree)

    built = vmlab_testbed.build_tree(read_module(tree.directory))

    assert sorted(each.info.name for each in built) == sorted(name.rpartition("/")[2] for name in tree.modules)


@pytest.mark.parametrize("tree", [tree for tree in _TREES if tree.loads], ids=lambda tree: tree.name)
def test_a_module_that_refuses_says_why(shared_guest: Guest, vmlab_testbed: Testbed, tree: Tree) -> None:
    (built,) = vmlab_testbed.build_tree(read_module(tree.directory))

    with pytest.raises(GuestError) as caught:
        insert(shared_guest, built)

    assert caught.value.message.startswith(tree.loads)


@pytest.mark.parametrize("tree", [t for t in _TREES if not t.builds and not t.loads], ids=lambda tree: tree.name)
def test_modules_load_after_those_they_need_and_unload(shared_guest: Guest, vmlab_testbed: Testbed, tree: Tree) -> None:
    _require_packages(vmlab_testbed, tree)

    for built in vmlab_testbed.build_tree(read_module(tree.directory)):
        insert(shared_guest, built)
        loaded = [is_loaded(shared_guest, each.info.name) for each in (*built.needs, built)]
        remove_with_needs(shared_guest, built)
        left = [is_loaded(shared_guest, each.info.name) for each in (*built.needs, built)]

        assert (all(loaded), any(left)) == (True, False)


def test_a_kernels_own_module_is_loaded_first(shared_guest: Guest, vmlab_testbed: Testbed) -> None:
    (tree,) = (tree for tree in _TREES if tree.name == "borrowing")
    (built,) = vmlab_testbed.build_tree(read_module(tree.directory))

    insert(shared_guest, built)
    loaded = is_loaded(shared_guest, "crc_itu_t")
    remove_with_needs(shared_guest, built)

    assert loaded


def test_parameters_reach_the_module(shared_guest: Guest, vmlab_testbed: Testbed) -> None:
    (tree,) = (tree for tree in _TREES if tree.name == "picky")
    (built,) = vmlab_testbed.build_tree(read_module(tree.directory))

    insert(shared_guest, built, {"mode": "two words"})
    value = shared_guest.read("/sys/module/picky/parameters/mode")
    remove_with_needs(shared_guest, built)

    assert value == "two words\n"


def test_firmware_of_the_tree_reaches_the_guest(guest: Guest, vmlab_testbed: Testbed, tmp_path: Path) -> None:
    (tree,) = (tree for tree in _TREES if tree.name == "firmware")
    shutil.copytree(tree.directory, tmp_path / "firmware")
    write_tree(tmp_path / "firmware", {"vmlab.toml": 'firmware = "vmlab/none.bin"\n', "firmware/vmlab/none.bin": "x"})
    (built,) = vmlab_testbed.build_tree(read_module(tmp_path / "firmware"))

    insert(guest, built)

    assert is_loaded(guest, "firmware")
