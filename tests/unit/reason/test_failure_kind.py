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
