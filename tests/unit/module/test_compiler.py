# SPDX-License-Identifier: MIT
"""The compiler that built a kernel, compared with the available one."""

from __future__ import annotations

import pytest

from vmlab.catalogue.target import Architecture
from vmlab.errors import BuildError
from vmlab.module.compiler import (
    Match,
    candidates,
    compare,
    kernel_compiler,
    linker_of,
    llvm_arguments,
    parse_compiler,
    refuse_other_version,
)

GCC_10 = "gcc-10 (Debian 10.2.1-6) 10.2.1 20210110"
GCC_12 = "gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0"
GCC_14 = "x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
UBUNTU = "x86_64-linux-gnu-gcc-12 (Ubuntu 12.3.0-1ubuntu1~22.04) 12.3.0"
CLANG = "Debian clang version 14.0.6"
CLANG_18 = "Ubuntu clang version 18.1.3 (1ubuntu1)"
CLANG_21 = "Debian clang version 21.1.8 (3)"


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
        (CLANG_18, "clang", "Ubuntu", "18.1.3"),
        (CLANG_21, "clang", "Debian", "21.1.8"),
        (
            "Android (11368308, +pgo, +lto, based on r510928) clang version 18.0.0 (https://x)",
            "clang",
            "Android (11368308, +pgo, +lto, based on r510928)",
            "18.0.0",
        ),
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
    with pytest.raises(BuildError, match="cannot parse the compiler"):
        parse_compiler(text)


def test_the_kernels_compiler_is_read_from_its_configuration_first() -> None:
    config = f'CONFIG_CC_IS_GCC=y\nCONFIG_CC_VERSION_TEXT="{GCC_12}"\n'
    banner = "Linux version 5.4.0 (b@example.org) (gcc version 8.3.0 (Debian 8.3.0-6)) #1 SMP"
    assert kernel_compiler(config, banner).text == GCC_12


def test_the_kernels_banner_is_the_second_place() -> None:
    banner = f"Linux version 6.1.0-56-cloud-amd64 (kernel@example.org) ({GCC_12}, GNU ld (GNU Binutils) 2.40) #1 SMP"
    assert kernel_compiler("", banner).version == "12.2.0"


@pytest.mark.parametrize("compiler", [CLANG_18, CLANG_21, "clang version 17.0.6 (Fedora 17.0.6-1.fc39)"])
def test_a_banner_names_a_clang_too(compiler: str) -> None:
    banner = f"Linux version 6.8.0 (b@example.org) ({compiler}, LLD 18.1.3) #1 SMP"

    assert kernel_compiler("", banner) == parse_compiler(compiler)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("clang", "clang"),
        ("clang-21", "clang"),
        ("x86_64-linux-gnu-clang", "clang"),
        ("x86_64-linux-gnu-clang-21", "clang"),
    ],
)
def test_a_clang_has_the_name_that_it_was_called_by(name: str, family: str) -> None:
    compiler = parse_compiler(CLANG_21, called=name)

    assert (compiler.name, compiler.family, compiler.version) == (name, family, "21.1.8")


def test_a_gcc_tells_its_name_itself() -> None:
    assert parse_compiler(GCC_12, called="cc").name == "gcc-12"


@pytest.mark.parametrize(
    ("name", "release", "arguments"),
    [
        ("clang", "6.12.1", "LLVM=1"),
        ("clang", "5.10.0-46-amd64", "LLVM=1"),
        ("clang-21", "6.12.1", "LLVM=-21"),
        ("clang-21", "5.18.0", "LLVM=-21"),
        ("x86_64-linux-gnu-clang", "6.12.1", "LLVM=1 CC=x86_64-linux-gnu-clang"),
        (
            "clang-14",
            "5.17.3",
            "LLVM=1 CC=clang-14 LD=ld.lld-14 AR=llvm-ar-14 NM=llvm-nm-14 OBJCOPY=llvm-objcopy-14 "
            "OBJDUMP=llvm-objdump-14 READELF=llvm-readelf-14 STRIP=llvm-strip-14 HOSTCC=clang-14",
        ),
    ],
)
def test_a_clang_is_used_with_the_rest_of_llvm(name: str, release: str, arguments: str) -> None:
    assert llvm_arguments(parse_compiler(CLANG_21, called=name), release) == arguments


@pytest.mark.parametrize(
    ("name", "linker"), [("clang", "ld.lld"), ("clang-21", "ld.lld-21"), ("x86_64-linux-gnu-clang", "ld.lld")]
)
def test_a_clang_has_a_linker_of_its_own(name: str, linker: str) -> None:
    assert linker_of(parse_compiler(CLANG_21, called=name)) == linker
    assert linker_of(parse_compiler(GCC_12)) == ""


def test_the_name_of_a_clang_makes_no_difference() -> None:
    assert compare(parse_compiler(CLANG_21), parse_compiler(CLANG_21, called="clang-21")) is Match.SAME


def test_a_kernel_that_does_not_tell_is_an_error() -> None:
    with pytest.raises(BuildError, match="the kernel's compiler is unknown"):
        kernel_compiler("CONFIG_MODULES=y\n", "Linux version 6.1.0")


def test_the_kernels_own_name_is_looked_for_first_and_each_name_once() -> None:
    assert candidates(parse_compiler(GCC_14), Architecture.AMD64) == ("x86_64-linux-gnu-gcc-14", "gcc-14", "gcc")
    assert candidates(parse_compiler(GCC_12), Architecture.AMD64) == ("gcc-12", "x86_64-linux-gnu-gcc-12", "gcc")
    assert candidates(parse_compiler(CLANG), Architecture.AMD64) == (
        "clang",
        "clang-14",
        "x86_64-linux-gnu-clang-14",
        "x86_64-linux-gnu-clang",
    )


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
