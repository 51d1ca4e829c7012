# SPDX-License-Identifier: MIT
"""Build the modules of tests/unit/reason/failures/cases.toml, and write what the compilers print to outputs/ID.txt.

`python tools/apimap/outputs.py [ID…]`: some 4 s for each of the modules on two idle cores.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from apimap.workshop import START, Workshop  # noqa: E402

from vmlab.decode import read_toml  # noqa: E402

CASES = ROOT / "tests/unit/reason/failures"


def files_of(case: Mapping[str, Any]) -> dict[str, str]:
    """Return the files of a case by name."""
    code = case.get("whole") or f"{START}{case.get('code', '')}\n"
    return {"Kbuild": case.get("kbuild", "obj-m := m.o\n"), "m.c": code, **case.get("files", {})}


def main(words: Sequence[str]) -> int:
    """Run the command; returns its exit status, 1 if a module was built."""
    workshop = Workshop()
    (CASES / "outputs").mkdir(exist_ok=True)
    built = []
    for name, case in read_toml(CASES / "cases.toml").items():
        if words and name not in words:
            continue
        outcome = workshop.build(case["target"], name, files_of(case))
        (CASES / f"outputs/{name}.txt").write_text(outcome.output, encoding="utf-8")
        print(f"{name}: status {outcome.status}", flush=True)
        if outcome.status == 0:
            built.append(name)
    print(f"built without an error: {', '.join(built) or 'none'}")
    return 1 if built else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
