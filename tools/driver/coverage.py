# SPDX-License-Identifier: MIT
"""Coverage of fibdrv's arithmetic by check_arith: fails unless every line and 95 % of the branches run.

Counted by gcc and gcov, in a build without optimisation. A function that is inlined into several files, or compiled for
several constants, counts as run where one of its copies ran.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

DRIVER = Path(__file__).parents[2] / "fibdrv"
ARITHMETIC = (
    *("fib.c", "fib_length.c", "fib_pair.c", "radix.c", "radix_text.c"),
    *("bn.c", "bn_base.c", "bn_mul.c", "bn_toom3.c", "bn_inverse.c"),
    *("ntt.c", "ntt_pieces.c", "ntt_transform.c", "ntt_pointwise.c"),
)
HEADERS = ("limb.h", "row.h", "row_amd64.h", "row_arm64.h", "bn_mul.h", "ntt_prime.h", "ntt_transform.h", "radix.h")
CHECKS = (
    *("check_arith.c", "check_common.c", "check_products.c", "check_transforms.c", "check_inverses.c"),
    *("check_conversions.c", "check_fibonacci.c", "port_user.c", "port_cpu.c"),
)
FLAGS = ("-std=gnu11", "-O0", "--coverage", "-DBN_THRESHOLDS_VARY")
LEAST_LINES = 100.0
LEAST_BRANCHES = 95.0


@dataclass(slots=True)
class File:
    """Coverage of one file: a count for each line, and for each branch of a line."""

    lines: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    branches: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))

    def add(self, line: dict[str, object]) -> None:
        number, count, branches = line["line_number"], line["count"], line["branches"]
        assert isinstance(number, int)
        assert isinstance(count, int)
        assert isinstance(branches, list)
        self.lines[number] += count
        for place, branch in enumerate(branches):
            self.branches[number, place] += branch["count"]


def share(counts: Sequence[int]) -> float:
    """Share of non-zero counts, in per cent."""
    return 100 * sum(map(bool, counts)) / len(counts) if counts else 100.0


def merge(reports: Sequence[dict[str, object]]) -> dict[str, File]:
    """The sum per file of gcov's reports on each object."""
    files: dict[str, File] = defaultdict(File)
    for report in reports:
        entries = report["files"]
        assert isinstance(entries, list)
        for entry in entries:
            name = Path(entry["file"]).name
            if name in (*ARITHMETIC, *HEADERS):
                for line in entry["lines"]:
                    files[name].add(line)
    return files


def _run(command: Sequence[str], work: Path) -> None:
    subprocess.run(command, cwd=work, check=True)


def _reports(work: Path) -> list[dict[str, object]]:
    sources = [DRIVER / "arith" / name for name in ARITHMETIC] + [DRIVER / "test" / name for name in CHECKS]
    for source in sources:
        _run(["gcc", *FLAGS, "-c", str(source)], work)
    link = ["gcc", "--coverage", "-Wl,--wrap=bn_inverse", "-o", "check_arith"]
    _run([*link, *(f"{source.stem}.o" for source in sources)], work)
    _run(["./check_arith", "2"], work)
    objects = [f"{Path(name).stem}.o" for name in ARITHMETIC]
    command = ["gcov", "--branch-probabilities", "--json-format", "--stdout", *objects]
    said = subprocess.run(command, cwd=work, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in said.splitlines()]


def main() -> int:
    missing = [program for program in ("gcc", "gcov") if shutil.which(program) is None]
    if missing:
        print(f"coverage: no {' and no '.join(missing)} on this host; apt-get install gcc", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        files = merge(_reports(Path(directory)))
    lines = [count for file in files.values() for count in file.lines.values()]
    branches = [count for file in files.values() for count in file.branches.values()]
    print(f"{'file':20}{'lines':>8}{'branches':>10}  not run")
    for name, file in sorted(files.items()):
        missed = ", ".join(str(number) for number, count in sorted(file.lines.items()) if not count)
        halves = sorted({number for (number, _), count in file.branches.items() if not count})
        told = (missed and f"lines {missed}; ") + (", ".join(f"one way of {number}" for number in halves))
        print(f"{name:20}{share([*file.lines.values()]):7.1f}%{share([*file.branches.values()]):9.1f}%  {told}")
    print(f"{'all':20}{share(lines):7.1f}%{share(branches):9.1f}%")
    return 0 if share(lines) >= LEAST_LINES and share(branches) >= LEAST_BRANCHES else 1


if __name__ == "__main__":
    sys.exit(main())
