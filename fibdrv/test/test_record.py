#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only OR MIT
"""Proves in user space what an open file's reads give, and what it keeps for a reader that reads on.

    test_record.py [--quick] RECORDCLI

RECORDCLI is the command built from recordcli.c. "make check" runs this on an optimised build, and with --quick on one
with the address and undefined-behaviour sanitizers.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys

DECIMAL, HEX, BINARY = range(3)
SUM, KEPT = 1, 2
AMPLE = 1 << 20
BOUNDLESS = 1 << 30
PRIME = 2**521 - 1
NOT_REACHED = 3
"""The status of recordcli if there is no such allocation."""

Read = tuple[int, int, int]
"""Index, format, and the bytes that may be kept."""


def fibonacci(n: int) -> int:
    a, b = 0, 1
    for bit in bin(n)[2:]:
        a, b = a * (2 * b - a), a * a + b * b
        if bit == "1":
            a, b = b, a + b
    return a


def fibonacci_modulo(n: int, modulus: int) -> int:
    a, b = 0, 1
    for bit in bin(n)[2:]:
        a, b = a * (2 * b - a) % modulus, (a * a + b * b) % modulus
        if bit == "1":
            a, b = b, (a + b) % modulus
    return a


def record(n: int, form: int) -> str:
    number = fibonacci(n)
    if form == BINARY:
        return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "little").hex()
    return f"{number:{'d' if form == DECIMAL else 'x'}}\n".encode().hex()


def run(cli: str, reads: list[Read], *fault: str) -> list[tuple[int, int, int, str]]:
    """Index, flags, bytes kept and record of each read, in order; nothing if there is no such allocation to fail."""
    lines = "\n".join(" ".join(map(str, read)) for read in reads)
    done = subprocess.run([cli, *fault], input=lines, capture_output=True, text=True, check=False)
    if done.returncode == NOT_REACHED and fault:
        return []
    if done.returncode:
        sys.exit(f"recordcli {' '.join(fault)}: exit {done.returncode}\n{done.stderr}")
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return [(int(n), int(flags), int(kept), text) for n, flags, kept, text in rows]


def require(cli: str, what: str, reads: list[Read]) -> list[int]:
    """Every record is right and nothing beyond the limit is kept; gives the flags."""
    answers = run(cli, reads)
    if len(answers) != len(reads):
        sys.exit(f"{what}: {len(answers)} answers to {len(reads)} reads")
    for (n, form, limit), (_, _, kept, text) in zip(reads, answers, strict=True):
        if text != record(n, form):
            sys.exit(f"{what}: F({n}) in format {form} is {text[:60]}...")
        if kept > limit:
            sys.exit(f"{what}: {kept} bytes kept after F({n}), with a limit of {limit}")
    return [flags for _, flags, _, _ in answers]


def require_flags(what: str, flags: list[int], wanted: list[int]) -> None:
    if flags != wanted:
        place = next(i for i, pair in enumerate(zip(flags, wanted, strict=True)) if pair[0] != pair[1])
        sys.exit(f"{what}: read {place + 1} has the flags {flags[place]}, not {wanted[place]}")


def check_reading_on(cli: str, last: int) -> None:
    """From the beginning, and from the middle: an addition each but for the first two."""
    for form in (DECIMAL, HEX, BINARY):
        flags = require(cli, "reading on", [(n, form, AMPLE) for n in range(last + 1)])
        require_flags("reading on from 0", flags, [0, 0] + [SUM] * (last - 1))
        start = 3 * last
        flags = require(cli, "reading on", [(n, form, AMPLE) for n in range(start, start + 200)])
        require_flags(f"reading on from {start}", flags, [0, 0] + [SUM] * 198)


def check_not_reading_on(cli: str) -> None:
    flags = require(cli, "here and there", [(n, DECIMAL, AMPLE) for n in range(5_000, 5_200, 2)])
    require_flags("here and there", flags, [0] * 100)
    flags = require(cli, "again and again", [(n, DECIMAL, AMPLE) for n in (70, 71, 71, 71, 72, 70, 73, 72)])
    require_flags("again and again", flags, [0, 0, KEPT, KEPT, SUM, 0, SUM, 0])
    flags = require(cli, "another format", [(n, n % 2, AMPLE) for n in range(900, 910)])
    require_flags("another format", flags, [0] * 10)
    flags = require(cli, "hex and binary", [(n, 1 + n % 2, AMPLE) for n in range(900, 910)])
    require_flags("hex and binary", flags, [0, 0] + [SUM] * 8)


def check_limit(cli: str) -> None:
    """Nothing is kept without a limit; with one, up to it."""
    flags = require(cli, "limit 0", [(n, DECIMAL, 0) for n in range(100)])
    require_flags("limit 0", flags, [0] * 100)
    for form in (DECIMAL, BINARY):
        flags = require(cli, "limit 1024", [(n, form, 1_024) for n in range(8_000)])
        if flags[3_000] != SUM or flags[7_999] != 0:
            sys.exit("limit 1024: F(3000) takes 2 * 261 bytes and is kept, F(7999) takes 2 * 695 and is not")
        once = flags.index(0, 2)
        require_flags("limit 1024", flags, [0, 0] + [SUM] * (once - 2) + [0] * (8_000 - once))


def check_any_order(cli: str, count: int) -> None:
    chosen = random.Random(20)
    reads, n = [], 0
    for _ in range(count):
        n = max(0, n + chosen.choice((1, 1, 1, 1, 1, 0, -1, 2, 40, -40)) if chosen.random() < 0.98 else 0)
        reads.append(
            (n, chosen.choice((0, 0, 0, 0, 0, 1, 2)) if chosen.random() < 0.2 else 0, chosen.choice((AMPLE, 256)))
        )
    require(cli, "any order", reads)


def value_modulo(data: bytes, form: int, modulus: int) -> int:
    """A record's number modulo another, in time linear in its length."""
    if form == BINARY:
        return int.from_bytes(data, "little") % modulus
    base = 10 if form == DECIMAL else 16
    if data.strip(b"0123456789abcdef"[:base]) != b"\n":
        sys.exit(f"wrong: a record of {len(data)} bytes in format {form} is not digits and a newline")
    text = data[:-1].decode("ascii", "replace")
    value = 0
    for start in range(0, len(text), 4_000):
        piece = text[start : start + 4_000]
        value = (value * pow(base, len(piece), modulus) + int(piece, base)) % modulus
    return value


def check_megabytes(cli: str) -> str:
    """Records of more than a MiB: computed as a whole, by a pair, and from the pair before, to the last byte."""
    told = []
    for form, n in ((DECIMAL, 10_000_000), (HEX, 10_000_000), (BINARY, 20_000_000)):
        answers = run(cli, [(n - 2 + i, form, BOUNDLESS) for i in range(3)])
        require_flags(f"format {form}", [flags for _, flags, _, _ in answers], [0, 0, SUM])
        for index, _, _, text in answers:
            data = bytes.fromhex(text)
            if value_modulo(data, form, PRIME) != fibonacci_modulo(index, PRIME):
                sys.exit(f"wrong: F({index}) in format {form}, {len(data)} bytes, modulo 2^521 - 1")
        told.append(f"{len(data):,}")
    return f"records of {', '.join(told)} bytes"


def check_faults(cli: str) -> str:
    """Each allocation fails once: an error and then the right number, or none where the pair can do without."""
    few = [(n, form, AMPLE) for form in (DECIMAL, HEX, BINARY) for n in (0, 1, 2, 700, 701, 702, 703)]
    # Far enough for a pair to be moved: at F(728) the pair from F(1) has no more room.
    onward = [(n, DECIMAL, AMPLE) for n in range(760)]
    counts = {"failed": 0, "done without": 0}
    for reads, allocations in ((few, range(1, 1_000)), (onward, range(720, 745))):
        wanted = [(n, record(n, form)) for n, form, _ in reads]
        unhindered = [flags for _, flags, _, _ in run(cli, reads)]
        for allocation in allocations:
            answers = run(cli, reads, "--fail-alloc", str(allocation))
            if not answers:
                break
            right = [answer for answer in answers if answer[3] != "ENOMEM"]
            if [(n, text) for n, _, _, text in right] != wanted:
                sys.exit(f"with allocation {allocation} failing, a number is wrong")
            failed = len(answers) - len(right)
            if failed > 1 or (not failed and [flags for _, flags, _, _ in right] == unhindered):
                sys.exit(f"with allocation {allocation} failing, {failed} reads failed, and no pair was missed")
            counts["failed" if failed else "done without"] += 1
    if min(counts.values()) < 3:
        sys.exit(f"failed allocations: {counts}")
    return f"{counts['failed']} allocations failed a read, {counts['done without']} only cost its pair"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("recordcli")
    options = parser.parse_args()
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    cli = options.recordcli

    last = 1_000 if options.quick else 5_000
    check_reading_on(cli, last)
    check_not_reading_on(cli)
    check_limit(cli)
    check_any_order(cli, 500 if options.quick else 4_000)
    print(f"ok: reading on to F({last}), here and there, within a limit, in any order")
    if not options.quick:
        print("ok:", check_megabytes(cli))
    print("ok:", check_faults(cli))


if __name__ == "__main__":
    main()
