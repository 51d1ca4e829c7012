# SPDX-License-Identifier: MIT
"""Which compiler built a kernel, and whether the one at hand is the same."""

from __future__ import annotations

import pytest

from vmlab.errors import BuildError
from vmlab.module.compiler import (
    Match,
    candidates,
    compare,
    kernel_compiler,
    parse_compiler,
    refuse_other_version,
)
from vmlab.target import Architecture

GCC_10 = "gcc-10 (Debian 10.2.1-6) 10.2.1 20210110"
GCC_12 = "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
GCC_14 = "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
UBUNTU = "x86_64-linux-gnu-gcc-12 (Ubuntu 12.3.0-1ubuntu1~22.04) 12.3.0"
CLANG = "Debian clang version 14.0.6"


@pytest.mark.parametrize(
    ("text", "name", "packaging", "version"),
    [
        (GCC_10, "gcc-10", "Debian 10.2.1-6", "10.2.1"),
        (GCC_12, "gcc-12", "Debian 12.2.0-14+deb12u1", "12.2.0"),
        (GCC_14, "x86_64-linux-gnu-gcc-14", "Debian 14.2.0-19", "14.2.0"),
        (UBUNTU, "x86_64-linux-gnu-gcc-12", "Ubuntu 12.3.0-1ubuntu1~22.04", "12.3.0"),
        (
            "gcc (Ubuntu 9.4.0-1ubuntu1~20.04.2 (nested)) 9.4.0",
            "gcc",
            "Ubuntu 9.4.0-1ubuntu1~20.04.2 (nested)",
            "9.4.0",
        ),
        ("gcc (GCC) 13.2.1 20230801", "gcc", "GCC", "13.2.1"),
        ("gcc 4.8.5", "gcc", "", "4.8.5"),
        (CLANG, "clang", "Debian", "14.0.6"),
        ("clang version 17.0.6 (Fedora 17.0.6-1.fc39)", "clang", "", "17.0.6"),
        (f'  "{GCC_12}"\nCopyright (C) 2022\n', "gcc-12", "Debian 12.2.0-14+deb12u1", "12.2.0"),
    ],
)
def test_a_version_line_tells_name_packaging_and_version(text: str, name: str, packaging: str, version: str) -> None:
    compiler = parse_compiler(text)
    assert (compiler.name, compiler.packaging, compiler.version) == (name, packaging, version)
    assert compiler.major == version.split(".")[0]
    assert compiler.family == ("clang" if name == "clang" else "gcc")


@pytest.mark.parametrize("text", ["", "\n", "sh: 1: gcc-12: not found", "gcc", "gcc (Debian 12.2.0-14)"])
def test_garbage_is_no_compiler(text: str) -> None:
    with pytest.raises(BuildError, match="no compiler can be read"):
        parse_compiler(text)


def test_the_kernels_compiler_is_read_from_its_configuration_first() -> None:
    config = f'CONFIG_CC_IS_GCC=y\nCONFIG_CC_VERSION_TEXT="{GCC_12}"\n'
    banner = "Linux version 5.4.0 (b@example.org) (gcc version 8.3.0 (Debian 8.3.0-6)) #1 SMP"
    assert kernel_compiler(config, banner).text == GCC_12


def test_the_kernels_banner_is_the_second_place() -> None:
    banner = f"Linux version 6.1.0-56-cloud-amd64 (kernel@example.org) ({GCC_12}, GNU ld (GNU Binutils) 2.40) #1 SMP"
    assert kernel_compiler("", banner).version == "12.2.0"


def test_a_kernel_that_does_not_tell_is_an_error() -> None:
    with pytest.raises(BuildError, match="does not tell which compiler built it"):
        kernel_compiler("CONFIG_MODULES=y\n", "Linux version 6.1.0")


def test_the_kernels_own_name_is_looked_for_first_and_each_name_once() -> None:
    assert candidates(parse_compiler(GCC_14), Architecture.AMD64) == ("x86_64-linux-gnu-gcc-14", "gcc-14", "gcc")
    assert candidates(parse_compiler(GCC_12), Architecture.AMD64) == ("gcc-12", "x86_64-linux-gnu-gcc-12", "gcc")
    assert candidates(parse_compiler(CLANG), Architecture.AMD64)[0] == "clang"


def test_another_architectures_compiler_is_not_looked_for() -> None:
    assert candidates(parse_compiler(GCC_12), Architecture.ARM64) == ("gcc-12", "aarch64-linux-gnu-gcc-12", "gcc")


@pytest.mark.parametrize(
    ("at_hand", "match"),
    [
        (GCC_12, Match.SAME),
        (GCC_12.replace("gcc-12", "x86_64-linux-gnu-gcc-12"), Match.OTHER_NAME),
        (GCC_12.replace("12.2.0-14", "12.2.0-15"), Match.OTHER_PACKAGING),
        (GCC_12.replace(") 12.2.0", ") 12.2.1"), Match.OTHER_VERSION),
        (GCC_14, Match.OTHER_VERSION),
        ("clang version 12.2.0", Match.OTHER_VERSION),
    ],
)
def test_two_compilers_compare_from_harmless_to_not(at_hand: str, match: Match) -> None:
    assert compare(parse_compiler(GCC_12), parse_compiler(at_hand)) is match


def test_another_version_is_refused_with_both_named() -> None:
    with pytest.raises(BuildError) as caught:
        refuse_other_version(parse_compiler(GCC_12), parse_compiler(GCC_14))
    assert "gcc 12.2.0" in caught.value.message
    assert "gcc 14.2.0" in caught.value.message
    assert "--vmlab-compiler waive" in caught.value.hint
    assert "gcc-12" in caught.value.hint


@pytest.mark.parametrize("at_hand", [GCC_12, GCC_12.replace("12.2.0-14", "12.2.0-15")])
def test_another_packaging_revision_is_not_refused(at_hand: str) -> None:
    refuse_other_version(parse_compiler(GCC_12), parse_compiler(at_hand))
