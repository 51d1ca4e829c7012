# SPDX-License-Identifier: MIT
"""Names of the kernel's taint bits (Documentation/admin-guide/tainted-kernels.rst). Pure."""

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
"""Taint bits for out-of-tree and unsigned: the load of any user's module sets them."""


def known_names() -> tuple[str, ...]:
    """All names of taint bits that `names_of` knows."""
    return _NAMES


def names_of(taint: int) -> list[str]:
    """Names of the bits of a taint value; unknown bits are named by number."""
    bits = [bit for bit in range(taint.bit_length()) if taint >> bit & 1]
    return [_NAMES[bit] if bit < len(_NAMES) else f"bit {bit}" for bit in bits]


def unexpected(before: int, after: int) -> list[str]:
    """Names of the bits that were set meanwhile, without those that any load of a module sets."""
    return names_of(after & ~before & ~_OF_ANY_MODULE)
