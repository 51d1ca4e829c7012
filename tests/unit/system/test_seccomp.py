# SPDX-License-Identifier: MIT
"""The system call filter, run by a small interpreter of classic BPF."""

from __future__ import annotations

import struct

import pytest

from vmlab.system.seccomp import denied_calls, filter_program

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_ALLOW, _EPERM, _ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


def _verdict(machine: str, number: int, argument: int = 0, *, flags: int = 0, architecture: int | None = None) -> int:
    program = list(struct.iter_unpack("=HBBI", filter_program(machine)))
    data = struct.pack("=IIQ6Q", number, architecture or _ARCHITECTURES[machine], 0, argument, 0, 0, flags, 0, 0)
    place, loaded = 0, 0
    while True:
        code, if_true, if_false, value = program[place]
        place += 1
        if code == 0x06:
            return int(value)
        if code == 0x20:
            (loaded,) = struct.unpack_from("=I", data, value)
            continue
        holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
        place += if_true if holds else if_false


@pytest.mark.parametrize("machine", list(_ARCHITECTURES))
def test_each_listed_call_is_denied_and_its_neighbours_are_not(machine: str) -> None:
    denied = set(denied_calls(machine).values())
    argument_decides = {435, 56, 41, 220, 198}

    for number in range(480):
        if number not in argument_decides or number in denied:
            assert (_verdict(machine, number) == _EPERM) is (number in denied), number


@pytest.mark.parametrize(("machine", "clone", "socket"), [("x86_64", 56, 41), ("aarch64", 220, 198)])
def test_arguments_decide_about_clone_and_socket(machine: str, clone: int, socket: int) -> None:
    assert _verdict(machine, clone, 0x11) == _ALLOW  # fork: SIGCHLD
    assert _verdict(machine, clone, 0x3D0F00) == _ALLOW  # a thread
    assert _verdict(machine, clone, 0x10000011) == _EPERM
    assert _verdict(machine, clone, 0x40000000) == _EPERM
    assert _verdict(machine, 435) == _ENOSYS
    assert [_verdict(machine, socket, family) for family in (1, 2, 10)] == [_ALLOW] * 3
    assert [_verdict(machine, socket, family) for family in (0, 3, 16, 17, 38, 40)] == [_EPERM] * 6


@pytest.mark.parametrize(("machine", "mmap"), [("x86_64", 9), ("aarch64", 222)])
def test_shared_memory_without_a_file_is_not_mapped(machine: str, mmap: int) -> None:
    assert [_verdict(machine, mmap, flags=flags) for flags in (0x01, 0x03, 0x02, 0x22, 0x4022)] == [_ALLOW] * 5
    assert [_verdict(machine, mmap, flags=flags) for flags in (0x21, 0x23, 0x40021)] == [_EPERM] * 3


def test_calls_of_another_architecture_do_not_exist() -> None:
    assert _verdict("x86_64", 0, architecture=0x40000003) == _ENOSYS  # AUDIT_ARCH_I386
    assert _verdict("x86_64", 0x40000000) == _ENOSYS  # x32
    assert _verdict("aarch64", 0, architecture=0x40000028) == _ENOSYS  # AUDIT_ARCH_ARM
