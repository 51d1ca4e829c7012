# SPDX-License-Identifier: MIT
"""What the device has to say, from Python's integers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

# Python refuses to make text of more than 4,300 digits from an integer, F(20,570), until told otherwise.
sys.set_int_max_str_digits(0)

_SHOWN = 40


def by_addition(last: int) -> list[int]:
    """F(0) to F(last), each the sum of the two before: by definition, with no algorithm to share a mistake with."""
    numbers = [0, 1]
    while len(numbers) <= last:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[: last + 1]


def fibonacci(n: int, modulo: int | None = None) -> int:
    """F(n), or what is left of it when divided by `modulo`, by fast doubling."""
    here, following = 0, 1
    for bit in bin(n)[2:]:
        here, following = here * (2 * following - here), here * here + following * following
        if bit == "1":
            here, following = following, here + following
        if modulo is not None:
            here, following = here % modulo, following % modulo
    return here


def record(number: int, form: str) -> str:
    """The record of a number in a format, as `fibprobe` prints it: without its newline, binary in hex digits."""
    if form == "decimal":
        return str(number)
    if form == "hex":
        return f"{number:x}"
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "little").hex()


def spread(last: int, *, points: int) -> list[int]:
    """Indices from 0 to `last`, closer together where they are small.

    Besides them come the neighbours of each power of two, where fast doubling takes one step more, and of the
    indices where F(n) begins a new 64-bit word, for the first 40 words and then each time their number doubles.
    """
    chosen = {round(last ** (step / points)) for step in range(points + 1)} | {0}
    words = [*range(1, 41), *(2**k for k in range(6, 20))]
    # F(n) has 0.694242 n bits.
    edges = [2**k for k in range(30)] + [round(64 * count / 0.6942419136306174) for count in words]
    chosen |= {edge + distance for edge in edges for distance in (-1, 0, 1, 2)}
    return sorted(n for n in chosen if 0 <= n <= last)


def differences(given: Mapping[int, str], form: str, expected: Mapping[int, int]) -> list[str]:
    """One sentence for each record that is not the expected number's."""
    wrong = []
    for n, number in expected.items():
        got, wanted = given.get(n, "missing"), record(number, form)
        if got != wanted:
            wrong.append(f"F({n}) in {form} is {_contrast(got, wanted)}")
    return wrong


def first_of(wrong: Sequence[str]) -> str:
    """The first of several sentences and how many there are, for one line of a report."""
    return f"{wrong[0]} (and {len(wrong) - 1} more)" if len(wrong) > 1 else "".join(wrong)


def _contrast(got: str, wanted: str) -> str:
    """Both texts, or of long ones a piece of each, from where they differ."""
    if len(got) != len(wanted) or len(wanted) <= _SHOWN:
        return f"{_short(got)}, not {_short(wanted)}"
    place = next(position for position, pair in enumerate(zip(got, wanted, strict=True)) if pair[0] != pair[1])
    piece = slice(place, place + _SHOWN // 2)
    return f"{got[piece]}…, not {wanted[piece]}…, from character {place + 1} of {len(wanted)} on"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}… ({len(text)} characters)"
