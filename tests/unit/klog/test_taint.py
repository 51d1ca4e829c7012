# SPDX-License-Identifier: MIT
"""Names of taint bits, and the two bits that loading a module sets."""

from __future__ import annotations

import pytest

from vmlab.klog.taint import names_of, unexpected


@pytest.mark.parametrize(
    ("taint", "names"),
    [
        (0, []),
        (1, ["proprietary module"]),
        (12288, ["out-of-tree module", "unsigned module"]),
        (512 | 128, ["oops", "warning"]),
        (1 << 40, ["bit 40"]),
    ],
)
def test_bits_have_the_kernels_names(taint: int, names: list[str]) -> None:
    assert names_of(taint) == names


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        (0, 12288, []),
        (12288, 12288, []),
        (512, 512 | 12288, []),
        (12288, 12288 | 512, ["warning"]),
        (0, 1, ["proprietary module"]),
    ],
)
def test_only_what_came_up_and_no_module_explains_is_unexpected(before: int, after: int, names: list[str]) -> None:
    assert unexpected(before, after) == names


# Bits by number, from Documentation/admin-guide/tainted-kernels.rst.
@pytest.mark.parametrize(
    ("bit", "name"),
    [
        (1, "forced module"),
        (2, "out of specification"),
        (3, "forced unload"),
        (4, "machine check"),
        (5, "bad page"),
        (6, "taint requested by user space"),
        (8, "ACPI table overridden"),
        (10, "staging driver"),
        (11, "firmware workaround"),
        (14, "soft lockup"),
        (15, "live patch"),
        (16, "auxiliary taint"),
        (17, "randomized structures"),
        (18, "in-kernel test"),
        (19, "fwctl's mutating command"),
        (20, "bit 20"),
    ],
)
def test_every_other_bit_has_its_word_and_is_told_beside_a_modules_own(bit: int, name: str) -> None:
    assert names_of(1 << bit) == [name]
    assert unexpected(0, 12288 | 1 << bit) == [name]
