# SPDX-License-Identifier: MIT
"""Every mutant applies to the current driver, and names an existing test."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest
from mutants.mutant import DRIVER, ROOT, BadMutant, make_mutant, read_mutant, read_mutants

MUTANTS = read_mutants()


def test_there_are_at_least_twenty() -> None:
    assert len(MUTANTS) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies_and_its_test_exists(mutant, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    copy = make_mutant(mutant, tmp_path)
    changed = [path for path in copy.rglob("*.[ch]") if path.read_bytes() != _original(path, copy).read_bytes()]
    assert changed
    if mutant.is_guests:
        file, _, function = mutant.test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    else:
        makefile = (DRIVER / "Makefile").read_text(encoding="utf-8")
        assert re.search(rf"^{re.escape(mutant.make_target)}:", makefile, re.MULTILINE)


def _original(path: Path, copy: Path) -> Path:
    return DRIVER / path.relative_to(copy)


def test_a_patch_that_does_not_apply_any_more_is_an_error(tmp_path: Path) -> None:
    patch = tmp_path / "gone.patch"
    patch.write_text(
        "A line that is not there.\nKilled-by: make check-record\n"
        "--- a/fibdrv/arith/record.c\n+++ b/fibdrv/arith/record.c\n@@ -1,2 +1,1 @@\n-nothing like it\n-at all\n+or so\n"
    )
    with pytest.raises(BadMutant, match=r"gone\.patch does not apply any more"):
        make_mutant(read_mutant(patch), tmp_path / "copy")


@pytest.mark.parametrize("head", ["", "A fault.\n", "Killed-by: make check\n"])
def test_a_patch_that_does_not_say_what_it_is_is_an_error(tmp_path: Path, head: str) -> None:
    patch = tmp_path / "bare.patch"
    patch.write_text(f"{head}--- a/x\n+++ b/x\n")
    with pytest.raises(BadMutant, match="begins with what the fault is"):
        read_mutant(patch)


def test_no_mutant_was_left_in_the_driver() -> None:
    left = subprocess.run(
        ["find", str(DRIVER), "-name", "*.orig", "-o", "-name", "*.rej"], capture_output=True, check=True
    )
    assert left.stdout == b""
