# SPDX-License-Identifier: MIT
"""A module that refuses to load without hardware, a parameter or firmware."""

from __future__ import annotations

import pytest

from vmlab.module.inspect import ModuleInfo
from vmlab.module.load import parameter_text
from vmlab.module.refusal import refusal_of

_FIRMWARE = "vmlab_firmware vmlab_firmware: Direct firmware load for vmlab/none.bin failed with error -2"


def _info(**parameters: str) -> ModuleInfo:
    return ModuleInfo(
        name="fib", vermagic="6.1", license="GPL", machine="EM_X86_64", compilers=(), parameters=parameters
    )


@pytest.mark.parametrize(
    ("answer", "kernel", "reason"),
    [
        (
            "insmod: ERROR: could not insert module fib.ko: No such device",
            [],
            "it found no device that it drives (ENODEV)",
        ),
        (
            "insmod: ERROR: could not insert module fib.ko: No such device or address",
            [],
            "it found no device that it drives (ENXIO)",
        ),
        ("insmod: ERROR: could not insert module fib.ko: Invalid parameters", [], "Invalid parameters (EINVAL)"),
        (
            "insmod: ERROR: could not insert module fib.ko: No such file or directory",
            [_FIRMWARE],
            "firmware 'vmlab/none.bin' is missing",
        ),
    ],
)
def test_a_refusal_has_its_reason(answer: str, kernel: list[str], reason: str) -> None:
    found = refusal_of(_info(mode="charp"), answer=answer, kernel=kernel)

    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize("answer", ["insmod: ERROR: could not insert module fib.ko: File exists", "", "Killed"])
def test_another_failure_is_left_to_the_kernels_message(answer: str) -> None:
    assert refusal_of(_info(mode="charp"), answer=answer, kernel=["fib: bad"]) is None


def test_invalid_parameters_of_a_module_without_any_is_no_refusal() -> None:
    answer = "insmod: ERROR: could not insert module fib.ko: Invalid parameters"

    assert refusal_of(_info(), answer=answer, kernel=[]) is None


@pytest.mark.parametrize(
    ("value", "text"), [(True, "Y"), (3, "3"), ([1, 2], "1,2"), ("two words", '"two words"'), ("plain", "plain")]
)
def test_a_parameter_is_written_as_the_kernel_reads_it(value: object, text: str) -> None:
    assert parameter_text(value) == text
