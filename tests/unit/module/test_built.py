# SPDX-License-Identifier: MIT
"""Several modules of one tree: their order, the one that is meant, and their parameters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from unit.module.tree.trees import source_of
from vmlab.errors import BuildError, UsageError
from vmlab.module.built import Built, BuiltTree, load_order, needed, parameters_for
from vmlab.module.compiler import Match, parse_compiler
from vmlab.module.inspect import ModuleInfo
from vmlab.module.source import Source
from vmlab.settings import BuildPlace

_COMPILER = parse_compiler("gcc-12 (Debian 12.2.0-14) 12.2.0")


def _info(name: str, *depends: str, softdeps: tuple[str, ...] = ()) -> ModuleInfo:
    return ModuleInfo(
        name=name, vermagic="6.1", license="GPL", machine="EM_X86_64", compilers=(), depends=depends, softdeps=softdeps
    )


def _built(name: str, *, folder: str = "", needs: tuple[Built, ...] = (), depends: tuple[str, ...] = ()) -> Built:
    return Built(
        ko=Path(f"{name}.ko"),
        sha256=name,
        guest_path=f"/build/ksort/{folder}{name}.ko",
        info=_info(name, *depends),
        kernel_compiler=_COMPILER,
        compiler=_COMPILER,
        match=Match.SAME,
        place=BuildPlace.HOST,
        warnings=(),
        log=Path("log"),
        duration_s=1,
        is_cached=False,
        root="/build/ksort",
        needs=needs,
    )


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return source_of(tmp_path / "ksort", {"Kbuild": "obj-m := sort.o xoro.o\n"})


def test_modules_are_sorted_by_what_they_need() -> None:
    infos = [_info("a", "c"), _info("b"), _info("c", "d", "usbcore"), _info("d", softdeps=("b",))]

    assert [info.name for info in load_order(infos)] == ["b", "d", "c", "a"]


def test_the_stated_order_decides_between_independent_modules() -> None:
    infos = [_info("a"), _info("b_c", "a"), _info("d")]

    assert [info.name for info in load_order(infos, ["d", "b-c"])] == ["d", "a", "b_c"]


def test_modules_that_need_each_other_are_still_ordered() -> None:
    assert {info.name for info in load_order([_info("a", "b"), _info("b", "a")])} == {"a", "b"}


def test_what_a_needed_module_needs_comes_before_it() -> None:
    bus = _built("bus")
    core = _built("core", needs=(bus,))

    assert needed(_info("driver", "core", "usbcore"), {"bus": bus, "core": core}) == (bus, core)


def test_a_named_module_is_taken_with_a_dash_or_an_underscore(source: Source) -> None:
    tree = BuiltTree(name="ksort", modules=(_built("a_b"), _built("c")))

    assert tree.chosen(replace(source, module="a-b")).info.name == "a_b"
    assert tree["c"].info.name == "c"
    with pytest.raises(UsageError, match="makes no module 'd'") as caught:
        tree.module("d")
    assert caught.value.hint == "it makes a_b, c"


def test_without_a_name_the_directory_decides(source: Source) -> None:
    tree = BuiltTree(name="ksort", modules=(_built("ksort"), _built("xoro", folder="deep/"), _built("sort")))

    assert tree.chosen(source).info.name == "ksort"
    assert tree.chosen(replace(source, within="deep")).info.name == "xoro"


def test_several_modules_without_a_name_are_listed(source: Source) -> None:
    with pytest.raises(BuildError, match="'ksort' makes several modules: sort, xoro") as caught:
        BuiltTree(name="ksort", modules=(_built("sort"), _built("xoro"))).chosen(source)

    assert "--vmlab-module DIR:sort" in caught.value.hint


def test_parameters_are_those_of_the_module_and_those_without_one() -> None:
    stated = {"n": "1", "a-b.n": "2", "c.m": "3"}

    assert parameters_for("a_b", stated) == {"n": "2"}
    assert parameters_for("c", stated) == {"n": "1", "m": "3"}


def test_the_fingerprint_covers_what_is_loaded_before_and_with_which_parameters() -> None:
    bus = _built("bus")
    driver = _built("driver", needs=(bus,))

    prints = {
        driver.fingerprint,
        replace(driver, needs=()).fingerprint,
        replace(driver, parameters={"n": "1"}).fingerprint,
        replace(driver, firmware={"a.bin": Path("a.bin")}).fingerprint,
    }

    assert len(prints) == 4
