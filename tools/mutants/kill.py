# SPDX-License-Identifier: MIT
"""Insert each fault into fibdrv, run the test that must detect it, and print the table; `nox -s mutants`.

User-space mutants take a compilation. The others fork the target's ready snapshot: a mutant costs its build, a fork and
one test. All tests must first pass on the unchanged driver, otherwise they prove nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mutants.mutant import DRIVER, ROOT, BadMutant, Mutant, copy_driver, make_mutant, read_mutants
from vmlab.errors import nearest

_TARGET = "debian12-6.1"
_LIMIT_S = 1800.0
_COMPILER = re.compile(r"^\S+\.[ch]:\d+:\d+: error: ", re.MULTILINE)
KILLED = "killed"
SURVIVED = "SURVIVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Result of a mutant."""

    mutant: Mutant
    word: str
    seconds: float
    detail: str = ""


def main(words: Sequence[str]) -> int:
    """Try the mutants whose names contain one of the words, or all of them without words."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default=_TARGET, help="on whose kernel guest tests run")
    parser.add_argument("--user-space", action="store_true", help="only those that need no guest")
    parser.add_argument("words", nargs="*", metavar="NAME", help="part of a mutant's name")
    options = parser.parse_args(words)
    try:
        mutants = read_mutants()
        chosen = [mutant for mutant in mutants if _is_chosen(mutant, options.words, user_space=options.user_space)]
        if not chosen:
            near = nearest(options.words[0] if options.words else "", (mutant.name for mutant in mutants))
            print(f"no mutant is called so; {near}", file=sys.stderr)
            return 2
        if not all(mutant.is_guests for mutant in chosen) and shutil.which("make") is None:
            print("mutants: no make on this host; apt-get install make gcc", file=sys.stderr)
            return 2
        _require_sound(chosen, options.target)
        verdicts = [_try(mutant, options.target) for mutant in chosen]
    except BadMutant as bad:
        print(bad, file=sys.stderr)
        return 1
    _show(verdicts)
    return 0 if all(verdict.word == KILLED for verdict in verdicts) else 1


def _is_chosen(mutant: Mutant, words: Sequence[str], *, user_space: bool) -> bool:
    return (not words or any(word in mutant.name for word in words)) and not (user_space and mutant.is_guests)


def _require_sound(mutants: Iterable[Mutant], target: str) -> None:
    """Raise `BadMutant` unless every named test passes on the unchanged driver."""
    print("the tests on the driver as it is", flush=True)
    checks = sorted({mutant.make_target for mutant in mutants if not mutant.is_guests})
    nodes = sorted({mutant.test for mutant in mutants if mutant.is_guests})
    with tempfile.TemporaryDirectory(prefix="fibdrv-mutants-") as directory:
        if checks:
            done = _make(copy_driver(Path(directory)), checks)
            if done.returncode != 0:
                raise BadMutant(f"the driver as it is does not pass {', '.join(checks)}:\n{done.stdout[-3000:]}")
        if nodes:
            outcomes = _guest_tests(nodes, DRIVER, target, Path(directory))
            others = {name: word for name, word in outcomes.items() if word != "passed"}
            if others or len(outcomes) < len(nodes):
                raise BadMutant(f"on the driver as it is, of {len(nodes)} tests {len(outcomes)} ran: {others}")


def _try(mutant: Mutant, target: str) -> Verdict:
    print(f"{mutant.name}: {mutant.test}", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="fibdrv-mutants-") as directory:
        copy = make_mutant(mutant, Path(directory))
        word, detail = _in_guest(mutant, copy, target) if mutant.is_guests else _in_user_space(mutant, copy)
    return Verdict(mutant=mutant, word=word, detail=detail, seconds=time.monotonic() - started)


def _in_user_space(mutant: Mutant, copy: Path) -> tuple[str, str]:
    done = _make(copy, [mutant.make_target])
    if _COMPILER.search(done.stdout):
        # A mutant that does not compile says nothing about the test.
        raise BadMutant(f"{mutant.name} does not compile:\n{done.stdout[-3000:]}")
    return (KILLED, _last_line(done.stdout)) if done.returncode else (SURVIVED, "")


def _in_guest(mutant: Mutant, copy: Path, target: str) -> tuple[str, str]:
    with tempfile.TemporaryDirectory(prefix="fibdrv-mutants-") as directory:
        outcomes = _guest_tests([mutant.test], copy, target, Path(directory))
    words = sorted(set(outcomes.values()))
    if "failed" in words and set(words) <= {"failed", "passed"}:
        # One failing case of several is enough.
        return KILLED, f"{list(outcomes.values()).count('failed')} of {len(outcomes)} failed"
    return (SURVIVED if words == ["passed"] else f"UNDECIDED: {', '.join(words) or 'nothing ran'}"), ""


def _make(directory: Path, targets: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *targets],
        cwd=directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )


def _guest_tests(nodes: Sequence[str], module: Path, target: str, directory: Path) -> dict[str, str]:
    """Outcome of each test that pytest ran with a module on a target: passed, failed, or another one."""
    result = directory / "result.xml"
    command = [sys.executable, "-m", "pytest", *nodes, "--vmlab-target", target, "--vmlab-module", str(module)]
    command += [f"--junitxml={result}", f"--vmlab-report={directory / 'report'}", "-p", "no:cacheprovider", "-q"]
    command += ["-m", ""]
    log = directory / "log"
    with log.open("wb") as output:
        subprocess.run(command, cwd=ROOT, env=os.environ, stdout=output, stderr=output, check=False, timeout=_LIMIT_S)
    if not result.is_file():
        raise BadMutant(f"pytest ended without a result:\n{log.read_text(encoding='utf-8')[-3000:]}")
    return dict(_outcomes(result))


def _outcomes(result: Path) -> Iterable[tuple[str, str]]:
    for case in ET.parse(result).iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        if not kinds:
            yield name, "passed"
            continue
        texts = [child.get("message", "") + (child.text or "") for child in case]
        is_build = any("BuildError" in text or "does not build" in text for text in texts)
        # pytest calls a kernel fault found by a fixture an error; the mutant counts as detected.
        is_kernel = any("KernelTrouble" in text for text in texts)
        yield name, "not built" if is_build else "failed" if "failure" in kinds or is_kernel else kinds[0]


def _last_line(text: str) -> str:
    """The check's last message, without make's."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("make")]
    return lines[-1][:100] if lines else ""


def _show(verdicts: Sequence[Verdict]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("mutant", "fault", "test", "verdict", "s"):
        table.add_column(heading, overflow="fold", justify="right" if heading == "s" else "left")
    for verdict in verdicts:
        mutant = verdict.mutant
        table.add_row(mutant.name, mutant.fault, mutant.test, verdict.word, f"{verdict.seconds:.0f}")
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    killed = sum(verdict.word == KILLED for verdict in verdicts)
    console.print(f"{killed} of {len(verdicts)} killed")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
