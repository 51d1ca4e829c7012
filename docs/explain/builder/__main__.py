# SPDX-License-Identifier: MIT
"""`python -m builder`: build the pages from the stored data, or store a run's findings first."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from builder.build import build
from vmlab.errors import UsageError


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 on success, 1 when the pages are written but an experiment failed, 2 when nothing was written."""
    parser = argparse.ArgumentParser(prog="python -m builder", description=__doc__)
    parser.add_argument("--findings", type=Path, metavar="FILE", help="of `pytest tests/kernel --findings FILE`")
    parser.add_argument("--results", type=Path, metavar="FILE", help="the results.json of that run")
    chosen = parser.parse_args(arguments)
    if (chosen.findings is None) is not (chosen.results is None):
        parser.error("--findings and --results are files of one run: give both")
    try:
        faults = build(Path(__file__).parents[1], findings=chosen.findings, results=chosen.results)
    except UsageError as error:
        print(f"explain: {error}", file=sys.stderr)
        return 2
    for fault in faults:
        print(f"explain: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
