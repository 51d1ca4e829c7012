# SPDX-License-Identifier: MIT
"""Answers of bash and make about a tree: which are asked for, and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from unit.module.tree.trees import tree_of
from vmlab.errors import BuildError
from vmlab.module.build_root import Outcome
from vmlab.module.source import Source
from vmlab.module.tree.confined import describe_confined
from vmlab.module.tree.description import Description
from vmlab.module.tree.kbuild import KernelFacts
from vmlab.settings import BuildPlace

_KERNEL = KernelFacts(release="6.1.0-56", machine="x86_64", config={})
_SHELL = "if true; then MAKE=x; fi\n"


class AskedPlace:
    """Answers a command by the first word of a table that it contains."""

    name = BuildPlace.HOST

    def __init__(self, answers: Mapping[str, str | Outcome]) -> None:
        self.answers = answers
        self.commands: list[str] = []

    def put_tree(self, source: Source, name: str) -> None:
        raise AssertionError

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        self.commands.append(command)
        found = next((answer for word, answer in self.answers.items() if word in command), "")
        return found if isinstance(found, Outcome) else Outcome(status=0, output=found)

    def get(self, name: str, local: Path) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


def _describe(directory: Path, files: Mapping[str, str], place: AskedPlace) -> Description:
    return describe_confined(tree_of(directory, files), _KERNEL, place, name=directory.name)


def _told(**values: str) -> str:
    rows = "".join(f"{name}\0{0}\0{value}\0" for name, value in values.items())
    return f"chatter vmlab-answer\0{rows}vmlab-answer\0"


def test_a_clear_tree_asks_nothing(tmp_path: Path) -> None:
    place = AskedPlace({})

    _describe(tmp_path, {"Kbuild": "obj-m := fib.o\n", "dkms.conf": "MAKE=make\n"}, place)

    assert place.commands == []


def test_the_directives_that_bash_gives_are_used(tmp_path: Path) -> None:
    told = _told(MAKE="make -C src M=$PWD X=1", PRE_BUILD="pre", NOT_ONE="x")
    place = AskedPlace({"vmlab-answer": told})
    files = {"src/Kbuild": "obj-m := fib.o\n", "dkms.conf": _SHELL}

    found = _describe(tmp_path, files, place)

    assert [fact.value for fact in found.prepare] == ["./pre"]
    assert found.prepare[0].origin == "dkms.conf (read by bash) (PRE_BUILD)"
    assert found.unclear == ()


@pytest.mark.parametrize("output", ["", "vmlab-answer\0", "MAKE\0x"])
def test_a_dkms_conf_that_ends_its_shell_is_an_error(tmp_path: Path, output: str) -> None:
    place = AskedPlace({"vmlab-answer": Outcome(status=3, output=output)})

    with pytest.raises(BuildError, match=r"dkms\.conf ended its shell with status 3"):
        _describe(tmp_path, {"Kbuild": "obj-m := fib.o\n", "dkms.conf": _SHELL}, place)


def test_a_dkms_conf_that_bash_refuses_has_its_line(tmp_path: Path) -> None:
    said = "./dkms.conf: line 7: syntax error near unexpected token `fi'\n./dkms.conf: line 7: `fi'\n"
    place = AskedPlace({"bash -n": Outcome(status=2, output=said)})

    with pytest.raises(BuildError, match=r"bash cannot read dkms\.conf:7: syntax error near unexpected token `fi'"):
        _describe(tmp_path, {"Kbuild": "obj-m := fib.o\n", "dkms.conf": _SHELL}, place)


def test_the_calls_that_make_would_run_are_used(tmp_path: Path) -> None:
    root = f"/build/{tmp_path.name}"
    said = (
        f"make: Entering directory '{root}'\ngit config a b\n"
        f"vmlab-call {root}\t-C\t/x\tM={root}/a\tCONFIG_A=m\tmodules\n"
        f"make -C /x M={root}/b modules\n"
        "vmlab-call /etc\tM=/etc\nmake -C /x M=/etc/passwd\n"
    )
    place = AskedPlace({"make -n": said})
    files = {"Makefile": "all:\n\tfor d in a b; do make -C /x M=$(PWD)/$$d; done\n", "a/Kbuild": "", "b/Kbuild": ""}

    found = _describe(tmp_path, files, place)

    assert [fact.value for fact in found.sources] == ["a", "b"]
    assert {name: fact.value for name, fact in found.make.items()} == {"CONFIG_A": "m"}


def test_the_objects_that_make_reads_are_followed_and_never_out_of_the_tree(tmp_path: Path) -> None:
    said = "warning\nvmlab-objects a.o sub/ ../out/ /etc/\nvmlab-modules a.o ../b.o /c.o d.c\n"
    place = AskedPlace({"probe.mk vmlab-nothing": said})
    files = {"Kbuild": "obj-m := $(shell echo a.o)\n", "sub/Kbuild": "obj-m := $(shell echo b.o)\n"}

    found = _describe(tmp_path, files, place)

    assert {(module.location, module.name) for module in found.modules} == {(".", "a"), ("sub", "a"), (".", "b")}
    assert found.modules[0].origin == "Kbuild (read by make)"


def test_a_kbuild_file_that_make_cannot_read_stays_unclear(tmp_path: Path) -> None:
    place = AskedPlace({"vmlab-nothing": Outcome(status=2, output="Kbuild:1: *** missing separator.")})

    found = _describe(tmp_path, {"Kbuild": "obj-m := $(shell echo a.o)\n"}, place)

    assert found.unclear == ("Kbuild:1: obj-m := $(shell echo a.o)",)
