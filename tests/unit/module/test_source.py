# SPDX-License-Identifier: MIT
"""A module's sources: the files that count, and their digest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.module import source
from vmlab.module.source import Source, read_source


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "src").mkdir()
    (tmp_path / "Kbuild").write_text("obj-m := fib.o\n")
    (tmp_path / "src" / "fib.c").write_text("int x;\n")
    return tmp_path


def test_the_files_and_the_name_are_the_directorys(tree: Path) -> None:
    found = read_source(tree)
    assert found.files == ("Kbuild", "src/fib.c")
    assert found.name == tree.name


@pytest.mark.parametrize(
    ("name", "build_name"),
    [
        ("fibdrv", "fibdrv"),
        ("fib-drv_2.0+git~1@x", "fib-drv_2.0+git~1@x"),
        ("模組", "模組"),
        ("my module", "my_module"),
        ("a:b", "a_b"),
        ("a=b,c", "a_b_c"),
        ("50%", "50_"),
        ("#1 $x", "_1__x"),
        ('it\'s "mine"', "it_s__mine_"),
        ("-x", "_x"),
        ("a*[b]?(c)\n;&|<>\\`{d}", "a__b___c__________d_"),
        (".names", "module_names"),
        ("source.tar", "module_source.tar"),
    ],
)
def test_a_tree_is_built_under_its_name_as_far_as_make_can_take_it(tmp_path: Path, name: str, build_name: str) -> None:
    directory = tmp_path / name
    directory.mkdir()
    (directory / "Kbuild").write_text("obj-m := fib.o\n")

    found = read_source(directory)

    assert (found.name, found.build_name) == (name, build_name)


def test_a_path_that_leads_upwards_has_the_name_of_where_it_leads(tree: Path) -> None:
    assert read_source(tree / "src" / "..").name == tree.name


@pytest.mark.parametrize("change", ["content", "new file", "rename", "executable", "removal"])
def test_the_digest_follows_every_change(tree: Path, change: str) -> None:
    before = read_source(tree).digest
    path = tree / "src" / "fib.c"
    changes: dict[str, Callable[[], object]] = {
        "content": lambda: path.write_text("int y;\n"),
        "new file": lambda: (tree / "bn.c").write_text(""),
        "rename": lambda: path.rename(tree / "src" / "fab.c"),
        "executable": lambda: path.chmod(0o755),
        "removal": lambda: path.unlink(),
    }
    changes[change]()
    assert read_source(tree).digest != before


def test_times_do_not_count(tree: Path) -> None:
    before = read_source(tree).digest
    os.utime(tree / "Kbuild", (1, 1))
    assert read_source(tree).digest == before


@pytest.mark.parametrize(
    "name",
    [
        "fib.ko",
        "fib.mod.o",
        "built-in.a",
        "src/fib.o",
        "fib.mod",
        "fib.mod.c",
        ".fib.o.cmd",
        "Module.symvers",
        "modules.order",
        "__pycache__/x.py",
        ".git/HEAD",
    ],
)
def test_what_an_earlier_build_left_does_not_count(tree: Path, name: str) -> None:
    before = read_source(tree)
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_text("left behind")
    assert read_source(tree) == before


@pytest.mark.parametrize(
    ("name", "trace", "content"),
    [
        ("fib.o", ".fib.o.cmd", "savedcmd_fib.o := gcc\n"),
        (".module-common.o", "..module-common.o.cmd", "savedcmd_.module-common.o := gcc\n"),
        ("libfib.a", ".libfib.a.cmd", "cmd_libfib.a := ar\n"),
        ("fib.o", "fib.mod", "fib.o\n"),
        ("fib.o", "fib.d", "fib.o: fib.c\n"),
        (".tmp_fib.o", ".tmp_fib.d", ""),
    ],
)
def test_an_object_with_a_trace_of_a_build_does_not_count(tree: Path, name: str, trace: str, content: str) -> None:
    before = read_source(tree)
    (tree / name).write_bytes(b"\x7fELF")
    (tree / trace).write_text(content)

    assert read_source(tree) == before


@pytest.mark.parametrize("name", ["blob.o", "lib/libblob.a", "blob.o_shipped"])
def test_a_prebuilt_object_is_a_source(tree: Path, name: str) -> None:
    before = read_source(tree).digest
    (tree / name).parent.mkdir(exist_ok=True)
    (tree / name).write_bytes(b"\x7fELF")

    found = read_source(tree)

    assert name in found.files
    assert found.digest != before


def test_a_copy_of_a_shipped_object_does_not_count(tree: Path) -> None:
    (tree / "blob.o_shipped").write_bytes(b"\x7fELF")
    before = read_source(tree)
    (tree / "blob.o").write_bytes(b"\x7fELF")

    assert read_source(tree) == before


def test_a_thin_archive_does_not_count(tree: Path) -> None:
    before = read_source(tree)
    (tree / "parts.a").write_bytes(b"!<thin>\n")

    assert read_source(tree) == before


def test_a_program_that_kbuild_made_does_not_count(tree: Path) -> None:
    before = read_source(tree)
    (tree / "gen").write_bytes(b"\x7fELF")
    (tree / ".gen.cmd").write_text("cmd_gen := gcc\n")

    assert read_source(tree) == before


def test_a_prebuilt_objects_empty_command_file_is_a_source(tree: Path) -> None:
    (tree / "blob.o").write_bytes(b"\x7fELF")
    (tree / ".blob.o.cmd").write_text("")
    (tree / ".fib.o.cmd").write_text("")

    assert read_source(tree).files == (".blob.o.cmd", "Kbuild", "blob.o", "src/fib.c")


def test_a_makefile_is_enough_and_neither_is_not(tree: Path) -> None:
    (tree / "Kbuild").rename(tree / "Makefile")
    assert read_source(tree).files == ("Makefile", "src/fib.c")
    (tree / "Makefile").unlink()
    with pytest.raises(UsageError, match="neither a Kbuild file nor a Makefile") as caught:
        read_source(tree)
    assert "obj-m" in caught.value.hint


def test_a_directory_that_is_not_there_is_told(tree: Path) -> None:
    for path in (tree / "none", tree / "Kbuild"):
        with pytest.raises(UsageError, match=r"module directory .* does not exist"):
            read_source(path)


def test_a_whole_kernel_tree_is_not_taken_for_a_module(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "LARGEST_MIB", 1)
    (tree / "big").write_bytes(bytes(3 * 2**20))
    with pytest.raises(UsageError, match="must be at most 1 MiB, got 3 MiB"):
        read_source(tree)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("read.c:42", "src/read.c:42"),
        ("src/read.c:42", "src/read.c:42"),
        ("fast/add.c:7", "src/fast/add.c:7"),
        ("add.c:7", "add.c:7"),
        ("ad.c:7", "ad.c:7"),
        ("main.c:1", "main.c:1"),
        ("include/linux/slab.h:9", "include/linux/slab.h:9"),
    ],
)
def test_a_line_is_placed_in_the_tree_where_one_files_path_ends_so(source: str, place: str) -> None:
    files = ("main.c", "old/main.c", "src/read.c", "src/fast/add.c", "src/slow/add.c")
    assert Source(directory=Path("/gauge"), files=files, sums={}, digest="").place(source) == place
