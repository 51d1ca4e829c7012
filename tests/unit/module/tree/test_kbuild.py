# SPDX-License-Identifier: MIT
"""The modules that Kbuild files name."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.module.tree.trees import tree_of
from vmlab.module.tree.kbuild import KernelFacts, read_kbuild

_KERNEL = KernelFacts(release="6.1.0-56-cloud-amd64", machine="x86_64", config={"CONFIG_USB": "m"})


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("obj-m := fib.o", ["fib"]),
        ("obj-m = a.o b.o", ["a", "b"]),
        ("obj-m += a.o\nobj-m += b.o", ["a", "b"]),
        ("obj-m := a.o\nobj-m := b.o", ["b"]),
        ("obj-m += a.o \\\n\tb.o # two", ["a", "b"]),
        ("NAME := fib\nobj-m := $(NAME).o", ["fib"]),
        ("MODULES = a b\nobj-m := $(MODULES:%=%.o)", ["a", "b"]),
        ("CONFIG_MINE ?= m\nobj-$(CONFIG_MINE) += fib.o", ["fib"]),
        ("CONFIG_MINE := n\nobj-$(CONFIG_MINE) += fib.o", []),
        ("ifneq ($(KERNELRELEASE),)\nobj-m := fib.o\nelse\nobj-m := other.o\nendif", ["fib"]),
        ("ifdef KERNELRELEASE\nobj-m := fib.o\nendif", ["fib"]),
        ("ifeq ($(KERNELRELEASE),)\nall:\n\tfalse\nelse ifeq (a,a)\nobj-m := fib.o\nendif", ["fib"]),
        ("obj-y := fib.o", []),
        ("define SCRIPT\nobj-m := no.o\nendef\nobj-m := fib.o", ["fib"]),
        ("all:\n\techo obj-m := no.o\nobj-m := fib.o\r", ["fib"]),
    ],
)
def test_obj_m_names_the_modules(tmp_path: Path, text: str, names: list[str]) -> None:
    reading = read_kbuild(tree_of(tmp_path, {"Makefile": f"{text}\n"}), ".", make={})

    assert [module.name for module in reading.modules] == names
    assert reading.uncertain == []


def test_directories_of_obj_m_and_obj_y_are_read_and_no_other(tmp_path: Path) -> None:
    files = {
        "Kbuild": "obj-m += a/\nobj-y += b/\nobj-m += b/\nsubdir-y := c ../out /etc/\n",
        "a/Makefile": "obj-m := one.o\n",
        "b/Kbuild": "obj-m := two.o deep/three.o ../a/\n",
        "c/Kbuild": "obj-m := four.o\n",
        "d/Kbuild": "obj-m := five.o\n",
    }

    reading = read_kbuild(tree_of(tmp_path, files), ".", make={})

    found = [(module.location, module.name, module.origin) for module in reading.modules]
    assert found == [
        ("a", "one", "a/Makefile:1"),
        ("b", "two", "b/Kbuild:1"),
        ("b/deep", "three", "b/Kbuild:1"),
        ("c", "four", "c/Kbuild:1"),
    ]


def test_a_kbuild_file_is_read_before_a_makefile(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"Makefile": "obj-m := no.o\n", "Kbuild": "obj-m := fib.o\n"})

    assert [module.name for module in read_kbuild(tree, ".", make={}).modules] == ["fib"]


def test_an_option_that_no_file_sets_is_the_modules_condition(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"Kbuild": "obj-${CONFIG_USB} += usb/\n", "usb/Kbuild": "obj-m := fib.o\n"})

    (unknown,) = read_kbuild(tree, ".", make={}).modules
    (known,) = read_kbuild(tree, ".", make={}, kernel=_KERNEL).modules

    assert (unknown.condition, known.condition) == ("CONFIG_USB", "")


def test_an_option_that_the_kernel_lacks_selects_nothing(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"Kbuild": "obj-$(CONFIG_NONE) += fib.o\n"})

    assert read_kbuild(tree, ".", make={}, kernel=_KERNEL).modules == []
    assert [each.name for each in read_kbuild(tree, ".", make={"CONFIG_NONE": "m"}, kernel=_KERNEL).modules] == ["fib"]


def test_a_modules_sources_are_those_of_its_parts(tmp_path: Path) -> None:
    files = {"Kbuild": "obj-m := fib.o\nfib-y := src/a.o b.o\nfib-objs += c.o\n", "src/a.c": "", "b.S": "", "fib.c": ""}

    (module,) = read_kbuild(tree_of(tmp_path, files), ".", make={}).modules

    assert sorted(module.sources) == ["b.S", "src/a.c"]


@pytest.mark.parametrize(
    "text",
    [
        "obj-m := $(shell cat names)",
        "ifeq ($(shell uname -m),x86_64)\nobj-m := fib.o\nendif",
        "include $(srctree)/other.mk",
        "include generated.mk",
        f"obj-m := {'a' * 20000}.o",
    ],
)
def test_what_only_make_can_tell_is_uncertain(tmp_path: Path, text: str) -> None:
    reading = read_kbuild(tree_of(tmp_path, {"Kbuild": f"{text}\n"}), ".", make={})

    assert [line.split(":")[0] for line in reading.uncertain] == ["Kbuild"]


def test_an_included_file_of_the_tree_is_read(tmp_path: Path) -> None:
    files = {"Makefile": "include $(src)/Kbuild.inc\n-include $(KDIR)/none\n", "Kbuild.inc": "obj-m := fib.o\n"}

    reading = read_kbuild(tree_of(tmp_path, files), ".", make={})

    assert [(module.name, module.origin) for module in reading.modules] == [("fib", "Kbuild.inc:1")]
    assert reading.uncertain == []
