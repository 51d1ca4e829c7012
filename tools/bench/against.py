# SPDX-License-Identifier: MIT
"""Compare the arithmetic with that of another checkout: `python tools/bench/against.py OTHER/fibdrv`.

Both fibbench programs run in turns, so a busy host slows down both. A row is the ratio of their minimum times.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

_DRIVER = Path(__file__).parents[2] / "fibdrv"
_INDICES = {
    "fib": (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "decimal": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
}
_ROUNDS = 6

Costs = dict[int, float]


def _build(driver: Path, to: Path) -> Path:
    source = driver / "test/fibbench.c"
    subprocess.run(["cc", "-std=gnu11", "-O2", "-pthread", "-o", str(to), str(source)], check=True)
    return to


def _measure(program: Path, what: str) -> Costs:
    command = [str(program), "--own", what, *map(str, _INDICES[what])]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {int(n): float(cost) for _, n, cost in (line.split("\t") for line in said.splitlines())}


def _least(costs: list[Costs], n: int) -> float:
    return min(cost[n] for cost in costs)


def main(words: list[str]) -> int:
    if len(words) != 1 or not (Path(words[0]) / "test/fibbench.c").is_file():
        print("usage: against.py OTHER/fibdrv, a directory with test/fibbench.c", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as directory:
        own = _build(_DRIVER, Path(directory) / "own")
        other = _build(Path(words[0]), Path(directory) / "other")
        for what, indices in _INDICES.items():
            pairs = [(_measure(own, what), _measure(other, what)) for _ in range(_ROUNDS)]
            for n in indices:
                mine, theirs = _least([pair[0] for pair in pairs], n), _least([pair[1] for pair in pairs], n)
                print(f"{what}\t{n}\t{mine:.1f} ns\t{theirs:.1f} ns\t{mine / theirs:.3f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
