# SPDX-License-Identifier: MIT
"""A mutant: a small fault inserted into fibdrv, and the test that must detect it. Each is a patch in this directory.

The text before the first line that starts with `---` is the description, then `Killed-by:` and the test. That is the
node id of a guest test, or a user-space target of fibdrv's Makefile (`make check-record`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

DIRECTORY = Path(__file__).parent
ROOT = DIRECTORY.parents[1]
DRIVER = ROOT / "fibdrv"
_KILLED_BY = "Killed-by: "
_MAKE = "make "


class BadMutant(Exception):
    """An invalid patch, or one that no longer applies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A fault and the test that detects it."""

    name: str
    fault: str
    test: str
    patch: Path

    @property
    def is_guests(self) -> bool:
        """True if the test needs a guest."""
        return not self.test.startswith(_MAKE)

    @property
    def make_target(self) -> str:
        """Make target of a user-space test."""
        return self.test.removeprefix(_MAKE)


def read_mutant(path: Path) -> Mutant:
    """Read a mutant from its patch; `BadMutant` when the description or the test is missing."""
    head = path.read_text(encoding="utf-8").partition("\n---")[0].splitlines()
    tests = [line.removeprefix(_KILLED_BY).strip() for line in head if line.startswith(_KILLED_BY)]
    fault = " ".join(line.strip() for line in head if not line.startswith(_KILLED_BY)).strip()
    if len(tests) != 1 or not fault:
        raise BadMutant(f"{path.name}: begins with what the fault is, and one line {_KILLED_BY!r}")
    return Mutant(name=path.stem, fault=fault, test=tests[0], patch=path)


def read_mutants(directory: Path = DIRECTORY) -> list[Mutant]:
    """All mutants, by name."""
    return [read_mutant(path) for path in sorted(directory.glob("*.patch"))]


def copy_driver(to: Path) -> Path:
    """Copy fibdrv's sources, without build products, to a directory of the same name below `to`."""
    copy = to / DRIVER.name
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "."],
        cwd=DRIVER,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (DRIVER / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(DRIVER / name, copy / name)
    return copy


def make_mutant(mutant: Mutant, to: Path) -> Path:
    """Copy the driver and insert the fault; `BadMutant` unless the patch applies at the exact line."""
    copy = copy_driver(to)
    # git, since a minimal machine lacks patch(1). In a repository `git apply` silently skips files outside of it.
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(copy.parent.resolve())}
    command = ["git", "apply", "-p2", "--whitespace=nowarn", str(mutant.patch)]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BadMutant(f"{mutant.patch.name} does not apply any more:\n{done.stdout}{done.stderr}")
    return copy
