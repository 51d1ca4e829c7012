# SPDX-License-Identifier: MIT
"""A tool root with further packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from unit.fakes import image, target
from unit.module.tree.trees import write_tree
from vmlab.context import Context
from vmlab.errors import HostError
from vmlab.image.extra_packages import overlay, with_packages
from vmlab.settings import load_settings


def _context(directory: Path) -> Context:
    return Context.of(load_settings({"store": str(directory / "store")}, directory=directory, environment={}))


def test_no_packages_leave_the_image_as_it_is(tmp_path: Path) -> None:
    given = image(tmp_path)

    assert with_packages(target("debian12-6.1"), given, [], _context(tmp_path)) is given


def test_a_publishers_image_takes_no_packages(tmp_path: Path) -> None:
    cloud = target("ubuntu22.04-5.15")

    with pytest.raises(HostError, match="packages cannot be added to the tool root of ubuntu22"):
        with_packages(cloud, image(tmp_path), ["xxd"], _context(tmp_path))


def test_added_files_and_links_are_put_over_the_tree(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"usr/bin/make": "old", "etc/group": "x"})
    added = write_tree(
        tmp_path / "added", {"usr/bin/xxd": "new", "usr/lib/python3/os.py": "new", "usr/bin/make": "newer"}
    )
    (added / "usr" / "bin" / "yacc").symlink_to("bison")

    overlay(added, tree)

    assert (tree / "usr/bin/xxd").read_text() == "new"
    assert (tree / "usr/lib/python3/os.py").read_text() == "new"
    assert (tree / "usr/bin/make").read_text() == "newer"
    assert (tree / "usr/bin/yacc").readlink() == Path("bison")
    assert (tree / "etc/group").read_text() == "x"


def test_a_file_of_the_same_size_and_time_stays(tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "tree", {"a": "one"})
    added = write_tree(tmp_path / "added", {"a": "two"})
    for place in (tree / "a", added / "a"):
        os.utime(place, (5, 5))

    overlay(added, tree)

    assert (tree / "a").read_text() == "one"


def test_nothing_is_written_through_a_link_of_the_tree(tmp_path: Path) -> None:
    outside = write_tree(tmp_path / "outside", {"keep": "kept"})
    tree = write_tree(tmp_path / "tree", {"a": ""})
    (tree / "linked").symlink_to(outside)
    (tree / "file").symlink_to(outside / "keep")
    added = write_tree(tmp_path / "added", {"linked/new": "x", "file": "x"})

    overlay(added, tree)

    assert sorted(path.name for path in outside.iterdir()) == ["keep"]
    assert (outside / "keep").read_text() == "kept"
    assert (tree / "file").read_text() == "x"
