#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Proves the driver's arithmetic in user space, against Python's integers.

    test_arith.py [--quick | --exhaustive] FIBCLI

FIBCLI is the command built from fibcli.c. "make check" runs this twice: on an optimised build, and with --quick
(fewer, smaller numbers) on one with the address and undefined-behaviour sanitizers. --exhaustive takes some minutes
and compares with GMP too, which it wants gmpy2 for.
"""

from __future__ import annotations

import argparse
import decimal
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

FORMATS = ("decimal", "hex", "binary")
LARGEST = 10_000_000
# For numbers whose digits Python would take too long over.
PRIMES = (1_000_000_007, 2**61 - 1, 2**89 - 1, 2**107 - 1, 2**127 - 1, 2**521 - 1)
ENDS = 40


@dataclass(frozen=True)
class Amount:
    """How much to compare: every n up to one, a sample up to another, and single numbers by their residues."""

    every: int
    limit: int
    sample: int
    by_residues: tuple[int, ...]


QUICK = Amount(every=300, limit=30_000, sample=40, by_residues=())
# From F(7,560,000) on the transforms use nodes that no shorter number uses.
USUAL = Amount(every=2_000, limit=200_000, sample=100, by_residues=(1_000_000, 7_560_000, LARGEST))
EXHAUSTIVE = Amount(every=20_000, limit=1_000_000, sample=2_000, by_residues=(7_560_000, LARGEST, 10 * LARGEST))


def fibonacci(n: int, modulus: int | None = None) -> int:
    """F(n) by doubling: another scheme than the driver's, on purpose."""
    a, b = 0, 1
    for bit in bin(n)[2:]:
        a, b = a * (2 * b - a), a * a + b * b
        if bit == "1":
            a, b = b, a + b
        if modulus:
            a, b = a % modulus, b % modulus
    return a


def render(number: int, form: str) -> str:
    """The record as fibcli prints it."""
    if form == "decimal":
        return str(number)
    if form == "hex":
        return f"{number:x}"
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "little").hex()


def ask(fibcli: str, form: str, indices: Iterable[int], *options: str) -> Iterator[tuple[int, str]]:
    """Runs fibcli once over all indices; gives (n, result)."""
    command = [fibcli, form, *options]
    done = subprocess.run(command, input="\n".join(map(str, indices)), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    for line in done.stdout.splitlines():
        n, result = line.split("\t")
        yield int(n), result


def spread(limit: int, count: int) -> list[int]:
    """Indices over the whole range: powers of two and their neighbours, and a random sample that is the same every
    time."""
    chosen = {(1 << k) + d for k in range(4, limit.bit_length()) for d in (-1, 0, 1)}
    chosen |= set(random.Random(93).sample(range(limit + 1), count))
    return sorted(n for n in chosen | {limit} if n <= limit)


def check_constants(driver: Path) -> str:
    """The three primes of ntt_pieces.c and their constants, from the primes alone; the constant of radix.c."""
    source = (driver / "arith/ntt_pieces.c").read_text(encoding="utf-8")
    radix = (driver / "arith/radix.c").read_text(encoding="utf-8")
    if f"CHUNK_RECIPROCAL\t{(2**128 - 1) // 10**19 - 2**64:#x}ULL\n" not in radix:
        sys.exit("wrong: the reciprocal of 10^19")
    stated = {
        name: [int(value, 16) for value in re.findall(rf"{name}\s*= 0x(\w+)ULL", source)]
        for name in (r"\.p", r"\.inverse", r"\.one", r"\.square", r"\.root")
    }
    defined = {name: int(value, 16) for name, value in re.findall(r"#define (\w+)\s+0x(\w+)ULL", source)}
    p1, p2, p3 = primes = stated[r"\.p"]
    word = 1 << 64
    sought = [p for p in range((1 << 62) - (1 << 26) + 1, (1 << 62) - (1 << 34), -(1 << 26)) if is_prime(p)]
    if primes != sought[:3]:
        sys.exit(f"the greatest primes of their kind are {[hex(p) for p in sought[:3]]}")
    for p, inverse, one, square, root in zip(*stated.values(), strict=True):
        if inverse != pow(p, -1, word) or one != word % p or square != word**2 % p:
            sys.exit(f"a constant of the prime {p:#x} is wrong")
        if pow(root * pow(word, -1, p), 1 << 25, p) != p - 1:
            sys.exit(f"the root modulo {p:#x} has not the order 2^26")
    expected = {
        "INVERSE_1_MOD_2": pow(p1, -1, p2) * word % p2,
        "INVERSE_2_MOD_3": pow(p2, -1, p3) * word % p3,
        "INVERSE_12_MOD_3": pow(p1 * p2, -1, p3) * word % p3,
        "MODULUS_12_HIGH": p1 * p2 // word,
        "MODULUS_12_LOW": p1 * p2 % word,
    }
    for name, value in expected.items():
        if defined[name] != value:
            sys.exit(f"{name} is {value:#x}")
    # A sum of products of two pieces of 80 bits: as many as a transform may have points.
    if p1 * p2 * p3 < (1 << 25) * (1 << 160):
        sys.exit("the primes are too small for their pieces")
    return "the constants"


def is_prime(n: int) -> bool:
    """Miller and Rabin's test, which the first twelve primes make exact below 3 * 10^24."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        power = pow(base, odd, n)
        if power in (1, n - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % n
            if power == n - 1:
                break
        else:
            return False
    return True


def check_every(fibcli: str, last: int) -> str:
    """Every number to F(last), alone and by an addition, in each format."""
    for form in FORMATS:
        a, b = 0, 1
        onward = ask(fibcli, form, (), "--onward", "1", str(last))
        for n, result in ask(fibcli, form, range(last + 1)):
            expected = render(a, form)
            if result != expected:
                sys.exit(f"wrong: F({n}) in {form} is not {result[:60]}...")
            if n and next(onward) != (n, expected):
                sys.exit(f"wrong: F({n}) in {form}, from the two before it")
            a, b = b, a + b
        if n != last:
            sys.exit(f"fibcli answered up to {n}, not {last}")
    return f"every n to {last}, alone and in a row"


def check_sample(fibcli: str, indices: list[int], gmp: bool) -> str:
    """Hexadecimal against Python's integers, and decimal against Python's text or GMP's."""
    if gmp:
        import gmpy2
    for n, result in ask(fibcli, "hex", indices):
        number = fibonacci(n)
        if result != render(number, "hex") or (gmp and number != gmpy2.fib(n)):
            sys.exit(f"wrong: F({n}) in hex is not {result[:60]}...")
    answered = 0
    for n, result in ask(fibcli, "decimal", indices):
        if result != (gmpy2.fib(n).digits() if gmp else str(fibonacci(n))):
            sys.exit(f"wrong: F({n}) in decimal is not {result[:60]}...")
        answered += 1
    if answered != len(indices):
        sys.exit(f"fibcli answered {answered} of {len(indices)} indices")
    return f"{answered} numbers to F({max(indices)}){', and as GMP has them' if gmp else ''}"


def residue(text: str, base: int, prime: int) -> int:
    """Digits modulo a prime, without the number that they stand for."""
    value = 0
    for start in range(0, len(text), 4_000):
        piece = text[start : start + 4_000]
        value = (value * pow(base, len(piece), prime) + int(piece, base)) % prime
    return value


def check_by_residues(fibcli: str, n: int, gmp: bool) -> str:
    """F(n) modulo large primes, its last digits, and its first ones from the golden ratio."""
    for form, base in (("hex", 16), ("decimal", 10)):
        [(_, text)] = ask(fibcli, form, [n])
        for prime in PRIMES:
            if residue(text, base, prime) != fibonacci(n, prime):
                sys.exit(f"wrong: F({n}) in {form}, modulo {prime}")
        if int(text[-ENDS:], base) != fibonacci(n, base**ENDS):
            sys.exit(f"wrong: F({n}) in {form} does not end with {text[-ENDS:]}")
    with decimal.localcontext() as context:
        context.prec = 2 * ENDS
        context.Emax = decimal.MAX_EMAX
        root = decimal.Decimal(5).sqrt()
        first = ((1 + root) / 2) ** n / root
        digits = str(int(first.scaleb(ENDS - 1 - first.adjusted())))
    if len(text) != first.adjusted() + 1 or text[:ENDS] != digits:
        sys.exit(f"wrong: F({n}) in decimal begins with {text[:ENDS]}, not {digits}, or has not {len(text)} digits")
    if gmp:
        import gmpy2

        if text != gmpy2.fib(n).digits():
            sys.exit(f"wrong: F({n}) in decimal is not GMP's")
    return f"F({n}) modulo {len(PRIMES)} primes, its first and its last {ENDS} digits"


def check_faults(fibcli: str) -> str:
    """Every allocation and every poll fails once: an error, and nothing lost.

    fibcli itself aborts when an allocation was not freed."""
    outcomes = 0
    for n, allocations in ((0, 2), (90, 2), (1_000, 2), (20_000, 4), (300_000, 4)):
        for option, error in (("--fail-alloc", "ENOMEM"), ("--interrupt", "EINTR")):
            failed = 0
            for k in range(1, 5_000):
                [(_, result)] = ask(fibcli, "decimal", [n], option, str(k))
                if result != error:
                    break
                failed += 1
                outcomes += 1
            if result[:9] != str(fibonacci(n))[:9]:
                sys.exit(f"wrong: F({n}) with {option} {k} is {result[:60]}")
            if option == "--fail-alloc" and failed != allocations:
                sys.exit(f"F({n}): {failed} allocations, not {allocations}")
            # Only a long computation polls.
            if option == "--interrupt" and not (failed >= 50 if n > 100_000 else failed == 0 or n > 10_000):
                sys.exit(f"F({n}): {failed} polls")
    return f"{outcomes} failed allocations and interruptions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", dest="amount", action="store_const", const=QUICK, default=USUAL)
    parser.add_argument("--exhaustive", dest="amount", action="store_const", const=EXHAUSTIVE)
    parser.add_argument("fibcli")
    options = parser.parse_args()
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)

    amount: Amount = options.amount
    gmp = amount is EXHAUSTIVE
    print("ok:", check_constants(Path(__file__).parents[1]))
    print("ok:", check_every(options.fibcli, amount.every))
    print("ok:", check_sample(options.fibcli, spread(amount.limit, amount.sample), gmp))
    for n in amount.by_residues:
        print("ok:", check_by_residues(options.fibcli, n, gmp))
    print("ok:", check_faults(options.fibcli))


if __name__ == "__main__":
    main()
