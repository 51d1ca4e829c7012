# SPDX-License-Identifier: MIT
"""Prove every fact in images/api-advice.toml by builds on the nearest default targets before and after its release.

For each fact: the code that LINUX_VERSION_CODE guards builds on both sides, and one form alone fails on the other side.
`python tools/apimap/prove.py [NAME…]`, as `nox -s advice` does: two minutes on two idle cores.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from apimap.workshop import START, Workshop  # noqa: E402

from vmlab.api.advice import Advice, read_advice  # noqa: E402
from vmlab.catalogue.release import line_of  # noqa: E402

_TRIED = re.compile(r"^ +CC (?:\[M\])? +(?:\S*/)?(?P<name>f\d+_\w+)\.o$", re.MULTILINE)
_FAILED = re.compile(r"\*\*\* \[[^\]]*?(?P<name>\w+)\.o\] Error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """The two default targets between which a change happened."""

    before: str
    after: str


def sides(fact: Advice, targets: Iterable[str]) -> Sides | None:
    """Return the nearest targets on both sides of a release; None if one side has none. Pure."""
    lines = {line_of(target.rpartition("-")[2]): target for target in targets}
    older = [line for line in lines if line < line_of(fact.release)]
    newer = [line for line in lines if line >= line_of(fact.release)]
    return Sides(before=lines[max(older)], after=lines[min(newer)]) if older and newer else None


def program(fact: Advice, form: str) -> str:
    """Return a C file with the `old` form, the `new` one, or `both` with the guard. Pure."""
    both = f"{fact.guard}\n{fact.new}\n#else\n{fact.old}\n#endif\n"
    chosen = {"both": both, "old": f"{fact.old}\n", "new": f"{fact.new}\n"}[form]
    head = f"{START}#include <linux/version.h>\n" + "".join(f"#include <{name}>\n" for name in fact.include)
    if fact.is_file_level:
        return f"{head}{fact.before}\n{chosen}{fact.after}\n"
    opening = f"void proof({fact.parameters});\nvoid proof({fact.parameters})\n{{\n"
    return f"{head}{fact.before}\n{opening}{chosen}{fact.after}\n}}\n"


def failures(workshop: Workshop, target: str, programs: dict[str, str]) -> tuple[set[str], str]:
    """Return the names of the programs that do not compile on a target, and the output."""
    kbuild = "".join(f"obj-m += {name}.o\n" for name in programs)
    files = {"Kbuild": kbuild, **{f"{name}.c": text for name, text in programs.items()}}
    output = workshop.build(target, "proofs", files, keep_going=True).output
    untried = programs.keys() - {match["name"] for match in _TRIED.finditer(output)}
    if untried:
        raise SystemExit(f"prove.py: make did not try {', '.join(sorted(untried))} on {target}:\n{output[-2000:]}")
    return {match["name"] for match in _FAILED.finditer(output)} & programs.keys(), output


def main(words: Sequence[str]) -> int:
    """Run the command; returns 0 if every fact is proved."""
    facts = [fact for fact in read_advice(ROOT / "images/api-advice.toml").facts if not words or fact.name in words]
    workshop = Workshop()
    pending: dict[str, dict[str, str]] = {target: {} for target in workshop.targets}
    chosen = {fact.name: sides(fact, workshop.targets) for fact in facts}
    for number, fact in enumerate(facts):
        pair = chosen[fact.name]
        if pair is not None:
            pending[pair.before] |= {f"f{number}_{form}": program(fact, form) for form in ("both", "new")}
            pending[pair.after] |= {f"f{number}_{form}": program(fact, form) for form in ("both", "old")}
    failed, outputs = {}, {}
    for target, programs in pending.items():
        failed[target], outputs[target] = failures(workshop, target, programs) if programs else (set(), "")
        print(f"{target}: {len(programs)} programs, {len(failed[target])} of them do not compile", flush=True)
    faults = []
    for number, fact in enumerate(facts):
        pair = chosen[fact.name]
        if pair is None:
            faults.append(f"{fact.name}: no default target on one side of {fact.release}")
            continue
        for target in (pair.before, pair.after):
            if f"f{number}_both" in failed[target]:
                faults.append(
                    f"{fact.name}: the guarded form fails on {target}: {_why(outputs[target], number, 'both')}"
                )
        is_needed = f"f{number}_old" in failed[pair.after] or f"f{number}_new" in failed[pair.before]
        if not is_needed:
            faults.append(f"{fact.name}: both forms build on {pair.before} and {pair.after}: the guard is not needed")
    print("\n".join(faults) or f"{len(facts)} facts are proved")
    return 1 if faults else 0


def _why(output: str, number: int, form: str) -> str:
    lines = (line for line in output.splitlines() if f"f{number}_{form}.c:" in line and "error: " in line)
    return next(lines, "see the output")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
