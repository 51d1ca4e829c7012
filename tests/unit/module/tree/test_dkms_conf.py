# SPDX-License-Identifier: MIT
"""dkms.conf, read without a shell."""

from __future__ import annotations

import pytest

from vmlab.errors import UsageError
from vmlab.module.tree.dkms_conf import ShellNeeded, dkms_variables, read_dkms_conf

_VARIABLES = dkms_variables("6.1.0-56-cloud-amd64", "x86_64")


def _read(text: str) -> dict[str, dict[int, str]]:
    found = read_dkms_conf(text, "dkms.conf", _VARIABLES)
    return {name: {index: fact.value for index, fact in values.items()} for name, values in found.items()}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("MAKE=make", "make"),
        ("MAKE='make all'", "make all"),
        ('MAKE="make all" # comment', "make all"),
        ('MAKE="make KVER=$kernelver"', "make KVER=6.1.0-56-cloud-amd64"),
        ('MAKE="make -C ${kernel_source_dir}"', "make -C /lib/modules/6.1.0-56-cloud-amd64/build"),
        ('PACKAGE_NAME=fib\nMAKE[0]="make $PACKAGE_NAME"', "make fib"),
        ('MAKE="a \\\n&& b"', "a && b"),
        ('MAKE="make\nall"', "make\nall"),
        ("MAKE='make $kernelver'", "make $kernelver"),
        ('MAKE="\\$HOME \\"x\\""', '$HOME "x"'),
        ("MAKE=ma'ke 'all", "make all"),
        ("MAKE=make; CLEAN=true", "make"),
        ("export MAKE=make\r\n", "make"),
        ("MAKE=make MAKE_MATCH=x", "make"),
        ('MAKE="make"\nMAKE+=" all"', "make all"),
        ("MAKE=(make all)", "make"),
        ("MAKE=", ""),
        ("MAKE=a#b", "a#b"),
    ],
)
def test_assignments_have_the_value_that_bash_gives_them(text: str, value: str) -> None:
    assert _read(text)["MAKE"][0] == value


def test_arrays_keep_their_indexes() -> None:
    text = "PATCH=(one.patch two.patch)\nPATCH+=(three.patch)\nBUILT_MODULE_NAME[1]=a\nBUILT_MODULE_NAME[3]=b\n"

    found = _read(text)

    assert found["PATCH"] == {0: "one.patch", 1: "two.patch", 2: "three.patch"}
    assert found["BUILT_MODULE_NAME"] == {1: "a", 3: "b"}


def test_each_value_has_the_line_of_its_assignment() -> None:
    found = read_dkms_conf("# one\n\nMAKE=make\n", "a/dkms.conf", _VARIABLES)

    assert found["MAKE"][0].origin == "a/dkms.conf:3"


@pytest.mark.parametrize(
    "line",
    [
        "MAKE=$(uname -r)",
        'MAKE="`id`"',
        "if true; then",
        "MAKE=${kernelver%%-*}",
        ". other.conf",
        "MAKE=make && rm x",
        "VERSION=1 program",
        "make() { :; }",
        "eval x",
        "MAKE=make > x",
    ],
)
def test_a_line_that_needs_a_shell_is_named(line: str) -> None:
    with pytest.raises(ShellNeeded) as caught:
        _read(f"PACKAGE_NAME=fib\n{line}\n")

    assert str(caught.value).startswith(f"dkms.conf:2: {line[:10]}")


@pytest.mark.parametrize(
    ("text", "quote"), [('A=1\nMAKE="make', '"'), ("A=1\nMAKE='make", "'"), ("A=1\nMAKE=(make", r"\(")]
)
def test_a_quote_that_is_not_closed_is_an_error(text: str, quote: str) -> None:
    with pytest.raises(UsageError, match=f"dkms.conf:2: {quote} is not closed"):
        _read(text)
