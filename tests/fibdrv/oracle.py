# SPDX-License-Identifier: MIT
"""Expected device output, computed with Python's integers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

# By default Python converts integers to at most 4,300 digits, which F(20,570) exceeds.
sys.set_int_max_str_digits(0)

_SHOWN = 40


def by_addition(last: int) -> list[int]:
    """F(0) to F(last) by plain addition: no algorithm in common with the driver, so no common mistake."""
    numbers = [0, 1]
    while len(numbers) <= last:
        numbers.append(numbers[-1] + numbers[-2])
    return numbers[: last + 1]


def fibonacci(n: int, modulo: int | None = None) -> int:
    """F(n), or F(n) modulo `modulo`, by fast doubling."""
    here, following = 0, 1
    for bit in bin(n)[2:]:
        here, following = here * (2 * following - here), here * here + following * following
        if bit == "1":
            here, following = following, here + following
        if modulo is not None:
            here, following = here % modulo, following % modulo
    return here


def record(number: int, form: str) -> str:
    """A number's record in a format, as `fibprobe` prints it: no newline, binary as hex digits."""
    if form == "decimal":
        return str(number)
    if form == "hex":
        return f"{number:x}"
    return number.to_bytes(max(1, (number.bit_length() + 7) // 8), "little").hex()


def spread(last: int, *, points: int) -> list[int]:
    """Indices from 0 to `last`, denser at the small end.

    Includes the neighbours of each power of two, where fast doubling takes one more step. Includes those of the indices
    where F(n) starts a new 64-bit word: the first 40 words, then each doubling.
    """
    chosen = {round(last ** (step / points)) for step in range(points + 1)} | {0}
    words = [*range(1, 41), *(2**k for k in range(6, 20))]
    # F(n) has 0.694242 n bits.
    edges = [2**k for k in range(30)] + [round(64 * count / 0.6942419136306174) for count in words]
    chosen |= {edge + distance for edge in edges for distance in (-1, 0, 1, 2)}
    return sorted(n for n in chosen if 0 <= n <= last)


def differences(given: Mapping[int, str], form: str, expected: Mapping[int, int]) -> list[str]:
    """One sentence for each record that differs from the expected number."""
    wrong = []
    for n, number in expected.items():
        got, wanted = given.get(n, "missing"), record(number, form)
        if got != wanted:
            wrong.append(f"F({n}) in {form} is {_contrast(got, wanted)}")
    return wrong


def first_of(wrong: Sequence[str]) -> str:
    """The first sentence and the number of sentences, as one line of a report."""
    return f"{wrong[0]} (and {len(wrong) - 1} more)" if len(wrong) > 1 else "".join(wrong)


def _contrast(got: str, wanted: str) -> str:
    """Both texts, or an excerpt of each long text from the first difference on."""
    if len(got) != len(wanted) or len(wanted) <= _SHOWN:
        return f"{_short(got)}, not {_short(wanted)}"
    place = next(position for position, pair in enumerate(zip(got, wanted, strict=True)) if pair[0] != pair[1])
    piece = slice(place, place + _SHOWN // 2)
    return f"{got[piece]}…, not {wanted[piece]}…, from character {place + 1} of {len(wanted)} on"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]}… ({len(text)} characters)"
