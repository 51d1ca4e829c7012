# SPDX-License-Identifier: MIT
"""`fibctl`, the client shipped with the driver."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest

from .oracle import by_addition, fibonacci, record
from .stress import Program


@pytest.fixture
def fibctl(program: Program) -> str:
    """Path of `fibctl` in the guest."""
    return program("tools/fibctl.c")


@pytest.mark.usefixtures("loaded_module")
def test_it_prints_numbers_in_every_format(shared_guest: Guest, fibctl: str) -> None:
    for form in ("decimal", "hex", "binary"):
        said = shared_guest.succeed(f"{fibctl} --format {form} 0 1 100 1000").split()
        assert said == [record(fibonacci(n), form) for n in (0, 1, 100, 1000)]


@pytest.mark.usefixtures("loaded_module")
def test_it_prints_ranges(shared_guest: Guest, fibctl: str) -> None:
    assert shared_guest.succeed(f"{fibctl} --range 90..95").split() == list(map(str, by_addition(95)[90:]))
    assert shared_guest.succeed(f"{fibctl} -r 7..7").split() == ["13"]


@pytest.mark.usefixtures("loaded_module")
def test_it_tells_what_a_read_cost(shared_guest: Guest, fibctl: str) -> None:
    said = shared_guest.succeed(f"{fibctl} --stats 1000 2>&1 > /dev/null")
    assert said.startswith("F(1000): 11 limbs, 210 bytes in decimal; computing "), said


@pytest.mark.usefixtures("loaded_module")
def test_its_bench_has_a_row_for_each_way_to_read(shared_guest: Guest, fibctl: str) -> None:
    heading, *rows = shared_guest.succeed(f"{fibctl} --bench 100 500").splitlines()
    assert heading.split()[:2] == ["n", "reads"]
    assert [row.split()[:3] for row in rows] == [
        [n, *words] for n in ("100", "500") for words in (["here", "and"], ["reading", "on"])
    ]


def test_its_bench_reads_on_to_the_last_number(shared_guest: Guest, unloaded_module: str, fibctl: str) -> None:
    shared_guest.as_root(f"insmod {unloaded_module} max_n=200")
    assert shared_guest.succeed(f"{fibctl} --bench 100").count("reading on") == 1
    assert "there is no F(201): " in shared_guest.fail(f"{fibctl} --bench 101").stderr


@pytest.mark.usefixtures("loaded_module")
@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        pytest.param("", 2, "name one or more N", id="nothing"),
        pytest.param("-- -1", 2, "not an index: -1", id="negative"),
        pytest.param("12x", 2, "not an index: 12x", id="text"),
        pytest.param("--format octal 1", 2, "not a format: octal", id="format"),
        pytest.param("--range 5..3", 2, "ends before it begins: 5..3", id="range-backwards"),
        pytest.param("--range 5", 2, "not a range A..B: 5", id="range-half"),
        pytest.param("10000001", 1, "there is no F(10000001): the last index is 10000000", id="past-the-end"),
        pytest.param("--device /dev/nowhere 1", 1, "/dev/nowhere: No such file", id="no-device"),
        pytest.param("--device /dev/null 1", 1, "FIBDRV_IOC_FORMAT: Inappropriate ioctl", id="another-device"),
    ],
)
def test_it_refuses_with_one_line(shared_guest: Guest, fibctl: str, words: str, status: int, reason: str) -> None:
    done = shared_guest.run(f"LC_ALL=C {fibctl} {words}")
    assert done.status == status
    assert done.stdout == ""
    first, *more = done.stderr.splitlines()
    assert reason in first
    assert all(line.startswith("Try ") for line in more)
