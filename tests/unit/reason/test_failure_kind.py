# SPDX-License-Identifier: MIT
"""The kind of a failed build: modules that were built by the compilers of four kernels, and the verdict on each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from vmlab.api.data import own_advice, own_history
from vmlab.reason.failure_kind import FailureKind, Knowledge, Tree, Verdict, judge

_FOLDER = Path(__file__).parent / "failures"
_CASES: Mapping[str, Mapping[str, Any]] = tomllib.loads((_FOLDER / "cases.toml").read_text(encoding="utf-8"))
_START = '#include <linux/module.h>\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("snippet");\n'


def _verdict(name: str) -> Verdict:
    case = _CASES[name]
    code = case.get("whole") or f"{_START}{case.get('code', '')}\n"
    files = {"Kbuild": case.get("kbuild", "obj-m := m.o\n"), "m.c": code, **case.get("files", {})}
    return judge(
        (_FOLDER / f"outputs/{name}.txt").read_text(encoding="utf-8"),
        tree=Tree(directory=f"/build/{name}", files=files, read=lambda file: files.get(file, "")),
        line=case["target"].rpartition("-")[2],
        is_cloud=True,
        knowledge=Knowledge(history=own_history(), advice=own_advice()),
    )


@pytest.mark.parametrize("name", _CASES)
def test_the_kind_of_a_real_failure_is_the_expected_one(name: str) -> None:
    verdict = _verdict(name)

    said = f"{verdict.reason.text}; {verdict.explanation}; {verdict.advice.sentence if verdict.advice else ''}"
    assert verdict.kind is FailureKind[_CASES[name]["kind"]], said
    assert _CASES[name]["says"] in said


def _judged(output: str, files: Mapping[str, str], *, knowledge: Knowledge | None) -> Verdict:
    tree = Tree(directory="/build/m", files=files, read=lambda file: files.get(file, ""))
    return judge(output, tree=tree, line="6.12", is_cloud=True, knowledge=knowledge)


@pytest.fixture(scope="module")
def knowledge() -> Knowledge:
    """The map and the advice of the catalogue."""
    return Knowledge(history=own_history(), advice=own_advice())


def test_without_the_map_a_changed_api_is_a_plain_mistake() -> None:
    output = "/build/m/m.c:3:1: error: implicit declaration of function 'strlcpy'\n"

    assert _judged(output, {"m.c": ""}, knowledge=None).kind is FailureKind.PLAIN_MISTAKE


def test_a_function_of_the_module_itself_is_not_looked_up(knowledge: Knowledge) -> None:
    output = "/build/m/m.c:3:1: error: implicit declaration of function 'my_own_helper'\n"

    verdict = _judged(output, {"m.c": "int x;\n", "n.c": "int my_own_helper(int x)\n{\n"}, knowledge=knowledge)

    assert (verdict.kind, verdict.explanation) == (FailureKind.PLAIN_MISTAKE, "")


def test_btf_that_is_skipped_and_objtools_warnings_are_not_the_reason(knowledge: Knowledge) -> None:
    output = (
        "Skipping BTF generation for /build/m/m.ko due to unavailability of vmlinux\n"
        "/build/m/m.o: warning: objtool: f() falls through to next function g()\n"
        "/build/m/m.c:3:1: error: expected ';' before 'x'\n"
    )

    assert _judged(output, {"m.c": ""}, knowledge=knowledge).reason.text == "m.c:3: expected ';' before 'x'"


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("gcc-12: fatal error: Killed signal terminated program cc1\n", FailureKind.TOOL),
        ("/bin/sh: 1: pahole: not found\nmake[1]: *** [x:1: m.ko] Error 127\n", FailureKind.TOOL),
        ("FAILED: load BTF from vmlinux: Invalid argument\nmake: *** [x:1: m.ko] Error 255\n", FailureKind.TOOL),
        ("*** The present kernel configuration has modules disabled.\n", FailureKind.NOT_CONFIGURED),
        ("/build/m/m.c:3:2: error: #warning is no error\n", FailureKind.PLAIN_MISTAKE),
        ("ld: cannot find libblob.a: No such file or directory\n", FailureKind.SOURCE_MISSING),
        ("/build/m/Kbuild:3: *** missing separator.  Stop.\n", FailureKind.TOOL),
        ("/build/m/Kbuild:3: *** install the vendor's SDK.  Stop.\n", FailureKind.MODULE_SAYS_SO),
        ("m.c:3:1: error: call to undeclared function 'strlcpy'\n", FailureKind.API_CHANGED),
        ("m.c:3:1: error: no member named 'iterate' in 'struct file_operations'\n", FailureKind.API_CHANGED),
        ("m.c:3:1: fatal error: 'linux/genhd.h' file not found\n", FailureKind.API_CHANGED),
        ("", FailureKind.PLAIN_MISTAKE),
    ],
)
def test_kinds_of_other_messages(output: str, kind: FailureKind, knowledge: Knowledge) -> None:
    assert _judged(output, {"m.c": "", "Kbuild": ""}, knowledge=knowledge).kind is kind


@pytest.mark.parametrize("name", list(_CASES)[::6])
def test_an_output_that_is_cut_anywhere_is_judged(name: str, knowledge: Knowledge) -> None:
    output = (_FOLDER / f"outputs/{name}.txt").read_text(encoding="utf-8")

    for end in range(0, len(output), 61):
        verdict = _judged(output[:end], {"m.c": "struct x *d;\n"}, knowledge=knowledge)
        assert verdict.kind in FailureKind


@pytest.mark.parametrize(
    "message",
    [
        "'" * 5000,
        "implicit declaration of function '" + "a" * 5000 + "'",
        "'struct " + "const " * 500 + "x' has no member named 'y'",
        "initialization of '" + "(" * 1000 + "\n  1 | " + ".x = " * 1000,
        "'\x1b[31m\u202e' undeclared",
        "x" * 200 + "/" * 3000 + ".h: No such file or directory",
    ],
)
def test_a_hostile_message_is_judged_and_shown_on_one_line(message: str, knowledge: Knowledge) -> None:
    tree = {"m.c": "struct " * 20_000 + "f(" * 20_000, "Kbuild": "\r" * 1000}

    verdict = _judged(f"/build/m/m.c:1:1: error: {message}\n", tree, knowledge=knowledge)

    assert verdict.reason.text.isprintable()
    assert len(verdict.explanation) < 2000
