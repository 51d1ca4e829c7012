#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Proves the lengths of every number that the driver computes, and the constants of fib_length.c.

    test_lengths.py [--last N] CHECK_LENGTHS

CHECK_LENGTHS is the command built from check_lengths.c. It adds logarithms of the golden ratio, with 128 bits behind
the point, up to F(1,000,000,000), in ten seconds. check_arith computes the first numbers and counts their digits.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from decimal import Decimal, getcontext
from pathlib import Path

FIRST = 100
"""From here on, F(n) and phi^n / sqrt(5) are closer than the logarithms are exact."""
PRECISION = 128
DRIVERS_PRECISION = 96


def logarithm(number: Decimal, base: int, bits: int) -> int:
    """The logarithm times 2^bits, rounded down."""
    return int(number.ln() / Decimal(base).ln() * 2**bits)


def words(value: int) -> str:
    """The part behind the point, as check_lengths reads it."""
    return f"{value >> 64 & (1 << 64) - 1:x},{value & (1 << 64) - 1:x}"


def check_constants(source: str, phi: Decimal, root: Decimal) -> str:
    """The four constants of fib_length.c, from their definition."""
    for name, number, base in (("PHI", phi, 2), ("ROOT5", root, 2), ("PHI", phi, 10), ("ROOT5", root, 10)):
        found = re.search(rf"#define LOG{base}_{name}\s+FIXED\(0x(\w+)ULL, 0x(\w+)ULL\)", source)
        value = logarithm(number, base, DRIVERS_PRECISION)
        if found is None or int(found[1], 16) << 64 | int(found[2], 16) != value:
            sys.exit(f"wrong: LOG{base}_{name} is {value >> 64:#x}, {value & (1 << 64) - 1:#x}")
    return "the logarithms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--last", type=int, default=1_000_000_000)
    parser.add_argument("check_lengths")
    options = parser.parse_args()
    getcontext().prec = 100
    root = Decimal(5).sqrt()
    phi = (1 + root) / 2

    constants = [words(logarithm(number, base, PRECISION)) for base in (2, 10) for number in (phi, root)]
    command = [options.check_lengths, str(FIRST), str(options.last), *constants]
    if subprocess.run(command, check=False).returncode:
        sys.exit(1)
    source = Path(__file__).parents[1] / "arith/fib_length.c"
    print("ok:", check_constants(source.read_text(encoding="utf-8"), phi, root))


if __name__ == "__main__":
    main()
