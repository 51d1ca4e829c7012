#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Proves the driver's arithmetic in user space, against Python's integers.

    test_arith.py [--quick] FIBCLI

FIBCLI is the command built from fibcli.c. "make check" runs this twice: all of
it on an optimised build, and with --quick (fewer, smaller numbers) on one with
the address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator

EVERY_UP_TO = 2_000
SPREAD_UP_TO = 200_000
# Beyond Python's comfortable decimal conversion: compared modulo these primes.
LARGE = 1_000_000
PRIMES = (2**61 - 1, 2**31 - 1, 1_000_000_007)


def fibonacci(n: int) -> int:
    """F(n) by doubling: another scheme than the driver's, on purpose."""
    a, b = 0, 1
    for bit in bin(n)[2:]:
        a, b = a * (2 * b - a), a * a + b * b
        if bit == "1":
            a, b = b, a + b
    return a


def render(number: int, form: str) -> str:
    """The record as fibcli prints it."""
    if form == "decimal":
        return str(number)
    if form == "hex":
        return f"{number:x}"
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "little").hex()


def ask(fibcli: str, form: str, indices: Iterable[int], *fault: str) -> Iterator[tuple[int, str]]:
    """Runs fibcli once over all indices; gives (n, result)."""
    done = subprocess.run(
        [fibcli, form, *fault],
        input="\n".join(map(str, indices)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"fibcli {form} {' '.join(fault)}: exit {done.returncode}\n{done.stderr}")
    for line in done.stdout.splitlines():
        n, result = line.split("\t")
        yield int(n), result


def spread(limit: int, count: int) -> list[int]:
    """Indices over the whole range: powers of two and their neighbours, and a
    random sample that is the same every time."""
    chosen = {(1 << k) + d for k in range(4, limit.bit_length()) for d in (-1, 0, 1)}
    chosen |= set(random.Random(93).sample(range(limit + 1), count))
    return sorted(n for n in chosen | {limit} if n <= limit)


def check_values(fibcli: str, indices: list[int]) -> int:
    checked = 0
    for form in ("decimal", "hex", "binary"):
        answered = 0
        for n, result in ask(fibcli, form, indices):
            if result != render(fibonacci(n), form):
                sys.exit(f"wrong: F({n}) in {form} is not {result[:60]}...")
            answered += 1
        if answered != len(indices):
            sys.exit(f"fibcli answered {answered} of {len(indices)} indices in {form}")
        checked += answered
    return checked


def check_large(fibcli: str, n: int) -> None:
    """F(n) in hexadecimal as a whole; in decimal by length, ends and residues."""
    number = fibonacci(n)
    [(_, text)] = ask(fibcli, "hex", [n])
    if int(text, 16) != number:
        sys.exit(f"wrong: F({n}) in hex")
    [(_, text)] = ask(fibcli, "decimal", [n])
    for prime in PRIMES:
        residue = 0
        for start in range(0, len(text), 4_000):
            piece = text[start : start + 4_000]
            residue = (residue * pow(10, len(piece), prime) + int(piece)) % prime
        if residue != number % prime:
            sys.exit(f"wrong: F({n}) in decimal, modulo {prime}")
    # F(n) has as many digits as promised when it is between two powers of 10.
    if text[0] == "0" or not 10 ** (len(text) - 1) <= number < 10 ** len(text):
        sys.exit(f"wrong: F({n}) has not {len(text)} digits")


def check_faults(fibcli: str) -> int:
    """Every allocation and every poll fails once: an error, and nothing lost.

    fibcli itself aborts when an allocation was not freed."""
    outcomes = 0
    for n in (0, 90, 1_000, 300_000):
        for option, error in (("--fail-alloc", "ENOMEM"), ("--interrupt", "EINTR")):
            failed = 0
            for k in range(1, 5_000):
                [(_, result)] = ask(fibcli, "decimal", [n], option, str(k))
                if result != error:
                    break
                failed += 1
                outcomes += 1
            if result != error and result[:9] != str(fibonacci(n))[:9]:
                sys.exit(f"wrong: F({n}) with {option} {k} is {result[:60]}")
            # Three allocations a number; only a long computation polls.
            least, most = (3, 3) if option == "--fail-alloc" else (10, 99) if n > 1_000 else (0, 0)
            if not least <= failed <= most:
                sys.exit(f"F({n}): {failed} {option} faults had an effect, not {least} to {most}")
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("fibcli")
    options = parser.parse_args()
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)

    every, limit, sample = (500, 30_000, 60) if options.quick else (EVERY_UP_TO, SPREAD_UP_TO, 200)
    checked = check_values(options.fibcli, list(range(every + 1)))
    checked += check_values(options.fibcli, spread(limit, sample))
    print(f"ok: {checked} records, every n to {every} and a spread to {limit}")
    if not options.quick:
        check_large(options.fibcli, LARGE)
        print(f"ok: F({LARGE})")
    print(f"ok: {check_faults(options.fibcli)} failed allocations and interruptions")


if __name__ == "__main__":
    main()
