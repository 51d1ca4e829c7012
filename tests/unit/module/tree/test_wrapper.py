# SPDX-License-Identifier: MIT
"""The calls of Kbuild in the Makefile that a user types `make` for."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.module.tree.trees import tree_of
from vmlab.module.tree.wrapper import read_wrapper


@pytest.mark.parametrize(
    ("text", "directory"),
    [
        ("all:\n\tmake -C /lib/modules/$(shell uname -r)/build M=$(PWD) modules", "."),
        ("KDIR := /x\nall:\n\t@$(MAKE) -C $(KDIR) M=$$PWD", "."),
        ("all:\n\t$(MAKE) -C $(KDIR) M=$$(pwd)/src modules", "src"),
        ("all:\n\t$(MAKE) -C $(KDIR) SUBDIRS=`pwd` modules", "."),
        ("all:\n\t$(MAKE) -C '$(KDIR)' M='$(CURDIR)/src' modules", "src"),
        ("all:\n\t+$(MAKE) -C$(KDIR) M=$(shell pwd) modules", "."),
        ("PWD := $(shell pwd)\nmodules clean:\n\t$(MAKE) -C $(KDIR) M=$(PWD) $@", "."),
        ("all:\n\t$(MAKE) -C src", "src"),
        ("all:\n\tcd src && $(MAKE)", "src"),
        ("OPTS = -C $(KDIR) M=$(CURDIR)\nall: ; $(MAKE) $(OPTS) modules", "."),
        ("ifneq ($(KERNELRELEASE),)\nobj-m := a.o\nelse\nall:\n\tmake -C $(KDIR) M=$(PWD)\nendif", "."),
        ("DIRS = src\n$(DIRS):\n\t$(MAKE) -C $@", "src"),
    ],
)
def test_a_call_of_kbuild_is_found(tmp_path: Path, text: str, directory: str) -> None:
    files = {
        "Makefile": f"{text}\n",
        "src/Makefile": "all:\n\tmake -C /x M=$(PWD)\nclean:\n\tmake -C /x M=/etc clean\n",
    }

    reading = read_wrapper(tree_of(tmp_path, files), ".")

    assert [call.directory for call in reading.calls] == [directory]
    assert reading.uncertain == []


def test_the_modules_own_variables_are_kept_and_those_of_the_lab_are_not(tmp_path: Path) -> None:
    line = "$(MAKE) -C $(KDIR) M=$(PWD) CC=$(CC) V=1 CONFIG_MINE=m EXTRA='-DA -DB' EMPTY= modules"
    tree = tree_of(tmp_path, {"Makefile": f"export CONFIG_OTHER := y\nall:\n\t{line}\n"})

    (call,) = read_wrapper(tree, ".").calls

    assert dict(call.variables) == {"CONFIG_MINE": "m", "EXTRA": "-DA -DB", "CONFIG_OTHER": "y"}
    assert call.origin == "Makefile:3"


def test_a_value_that_a_command_gives_is_dropped_and_named(tmp_path: Path) -> None:
    tree = tree_of(tmp_path, {"Makefile": 'all:\n\tmake -C /x M=$(PWD) VERSION="$(shell cat VERSION)"\n'})

    reading = read_wrapper(tree, ".")

    assert dict(reading.calls[0].variables) == {}
    assert reading.dropped == ["Makefile:2: VERSION=…"]


def test_a_header_that_a_prerequisite_makes_is_generated_and_a_program_is_not(tmp_path: Path) -> None:
    text = (
        "all: hooks user modules\nhooks:\n\tgit config a b\nuser: user.c\n\tcc user.c\n"
        "modules: version.h there.h\n\t$(MAKE) -C $(KDIR) M=$(PWD)\nversion.h there.h:\n\techo >$@\n"
    )

    reading = read_wrapper(tree_of(tmp_path, {"Makefile": text, "there.h": "", "user.c": ""}), ".")

    (generated,) = reading.generated
    assert (generated.directory, generated.names, generated.origin) == (".", ("version.h",), "Makefile:8")


@pytest.mark.parametrize(
    "line",
    [
        "for d in a b; do $(MAKE) -C $(KDIR) M=$(PWD)/$$d; done",
        "$(MAKE) -C $(KDIR) M=$(shell dirname $(PWD))",
        "$(MAKE) -C $(KDIR) M=/etc modules",
        "(cd src; $(MAKE) -C $(KDIR) M=$(PWD))",
        "$(MAKE) -C $(KDIR) M='$(PWD)",
    ],
)
def test_a_call_that_only_a_shell_can_tell_is_uncertain(tmp_path: Path, line: str) -> None:
    reading = read_wrapper(tree_of(tmp_path, {"Makefile": f"all:\n\t{line}\n"}), ".")

    assert reading.calls == []
    assert [place.split(": ")[0] for place in reading.uncertain] == ["Makefile:2"]


@pytest.mark.parametrize("goal", ["clean", "install", "modules_install", "check", "insmod", "uninstall"])
def test_a_target_that_builds_nothing_is_not_read(tmp_path: Path, goal: str) -> None:
    tree = tree_of(tmp_path, {"Makefile": f"{goal}:\n\tmake -C /x M=$(PWD)/src {goal}\n"})

    assert read_wrapper(tree, ".").calls == []


def test_makefiles_that_call_each_other_are_read_once(tmp_path: Path) -> None:
    files = {"Makefile": "all:\n\t$(MAKE) -C a\n", "a/Makefile": "all:\n\t$(MAKE) -C ..\n\tmake -C /x M=$(PWD)\n"}

    assert [call.directory for call in read_wrapper(tree_of(tmp_path, files), ".").calls] == ["a"]
