# SPDX-License-Identifier: MIT
"""The kernel's taint bits, by name (Documentation/admin-guide/tainted-kernels.rst). Pure."""

from __future__ import annotations

_NAMES = (
    "proprietary module",
    "forced module",
    "out of specification",
    "forced unload",
    "machine check",
    "bad page",
    "taint requested by user space",
    "oops",
    "ACPI table overridden",
    "warning",
    "staging driver",
    "firmware workaround",
    "out-of-tree module",
    "unsigned module",
    "soft lockup",
    "live patch",
    "auxiliary taint",
    "randomized structures",
    "in-kernel test",
    "fwctl's mutating command",
)
_OF_ANY_MODULE = 1 << 12 | 1 << 13
"""Out-of-tree and unsigned: what loading any module of the user's brings."""


def known_names() -> tuple[str, ...]:
    """Every word that `names_of` has for a bit."""
    return _NAMES


def names_of(taint: int) -> list[str]:
    """The words for the bits of a taint value; a bit that has no name here is given by number."""
    bits = [bit for bit in range(taint.bit_length()) if taint >> bit & 1]
    return [_NAMES[bit] if bit < len(_NAMES) else f"bit {bit}" for bit in bits]


def unexpected(before: int, after: int) -> list[str]:
    """The words for the bits that came up and that loading a module does not explain."""
    return names_of(after & ~before & ~_OF_ANY_MODULE)
