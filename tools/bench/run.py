# SPDX-License-Identifier: MIT
"""Measure every stated limit; write a table and build/bench.json. The status is non-zero when a limit does not hold."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import api_map
import arithmetic
import classifier
import comparison
import explain
import fetch
import forks
import kernel_memory
import matrix
import parts
import reading
import scale
import stages
import timing
import trouble
import virtme
from rich.console import Console
from rich.table import Table
from rows import Limit, broken_row, row

from vmlab.errors import VmlabError

LIMITS: tuple[Limit, ...] = (
    *matrix.LIMITS,
    *fetch.LIMITS,
    *forks.LIMITS,
    *stages.LIMITS,
    *classifier.LIMITS,
    *comparison.LIMITS,
    *trouble.LIMITS,
    *scale.LIMITS,
    *timing.LIMITS,
    *explain.LIMITS,
    *reading.LIMITS,
    *kernel_memory.LIMITS,
    *arithmetic.LIMITS,
    *api_map.LIMITS,
    *parts.LIMITS,
    *virtme.LIMITS,
)
RESULT = Path("build/bench.json")


def main(prefixes: list[str]) -> int:
    """Run the benchmarks whose names start with one of `prefixes`, or all of them without prefixes."""
    chosen = [limit for limit in LIMITS if not prefixes or limit.name.startswith(tuple(prefixes))]
    if not chosen:
        print(f"no benchmark begins so; there are: {', '.join(limit.name for limit in LIMITS)}", file=sys.stderr)
        return 2
    rows = []
    for limit in chosen:
        print(f"measuring {limit.name}", flush=True)
        load_before = os.getloadavg()[0]
        try:
            rows.append(row(limit, limit.measure(), load_before))
        except (VmlabError, RuntimeError, OSError, KeyError, ValueError) as error:
            rows.append(broken_row(limit, str(error)))
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    _show(rows)
    return 0 if all(entry["holds"] for entry in rows) else 1


def _show(rows: list[dict[str, object]]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "value", "limit", "unit", "holds", "conditions"):
        table.add_column(heading, overflow="fold")
    for entry in rows:
        conditions = entry["conditions"]
        assert isinstance(conditions, dict)
        told = "; ".join(f"{key} {value}" for key, value in conditions.items())
        cells = [str(entry[key]) for key in ("name", "value", "limit", "unit")]
        table.add_row(*cells, "yes" if entry["holds"] else "NO", told)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
