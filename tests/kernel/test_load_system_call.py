# SPDX-License-Identifier: MIT
"""The system call that loads a module, and its arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from vmlab.guest.guest import Guest

from .bench import Bench, Step, transcript
from .finding import Note

_HERE = Path(__file__).parent
_STRACE = "strace -e trace=finit_module,init_module"
_CALL = re.compile(
    r"^(?P<name>f?init_module)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+)(?: (?P<errno>E\w+))?", re.MULTILINE
)
_KMOD_WITH_KERNELS_DECOMPRESSION = 31
"""First kmod release that lets the kernel decompress, by its NEWS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """A system call as strace shows it."""

    name: str
    arguments: str
    result: int
    errno: str

    @property
    def last_argument(self) -> str:
        return self.arguments.rpartition(", ")[2]


def _calls(step: Step) -> list[Called]:
    return [
        Called(name=m["name"], arguments=m["arguments"], result=int(m["result"]), errno=m["errno"] or "")
        for m in _CALL.finditer(step.output)
    ]


def test_insmod_hands_the_kernel_an_open_file(bench: Bench, finding: Note) -> None:
    """Key `load.system-call`. finit_module(2) exists since 3.8, commit 34e1169d996a."""
    steps = bench.steps({"insmod": f"{_STRACE} insmod hello.ko number=2", "again": f"{_STRACE} insmod hello.ko"})
    bench.as_root("rmmod hello")
    (call,) = _calls(steps["insmod"])
    assert (call.name, call.last_argument, call.result) == ("finit_module", "0", 0), steps["insmod"].output
    # The parameters are the second argument: the kernel parses them, not insmod.
    assert call.arguments.split(", ")[1] == '"number=2"'
    (again,) = _calls(steps["again"])
    assert (again.name, again.errno) == ("finit_module", "EEXIST")
    finding(
        "load.system-call",
        command=steps["insmod"].command,
        output=transcript(steps["insmod"], steps["again"]),
        call=call.name,
        parameters="number=2",
        second_errno=again.errno,
    )


def test_a_buffer_goes_through_the_older_system_call(
    bench: Bench, program: Callable[[Path], str], finding: Note
) -> None:
    """Key `load.system-call.buffer`."""
    loader = program(_HERE / "load_buffer.c")
    steps = bench.steps({"load": f"{_STRACE} {loader} hello.ko", "unload": "rmmod hello"})
    (call,) = _calls(steps["load"])
    assert (call.name, call.result) == ("init_module", 0), steps["load"].output
    size = bench.kit.ko("hello").stat().st_size
    assert call.arguments.split(", ")[-2] == str(size)
    finding(
        "load.system-call.buffer",
        command=f"{_STRACE} ./load_buffer hello.ko",
        output=steps["load"].output,
        call=call.name,
        size=size,
    )


def test_a_compressed_file_is_decompressed_by_whoever_can(bench: Bench, finding: Note) -> None:
    """Key `load.system-call.compressed`. The kernel decompresses since 5.17, commit b1ae6dc41eaa, with
    CONFIG_MODULE_DECOMPRESS; kmod uses it since version 31. Otherwise kmod decompresses, and passes a buffer."""
    steps = bench.steps(
        {
            "kmod": "kmod --version | head -n 1",
            "kernel": "cat /sys/module/compression",
            "insmod": f"{_STRACE} insmod hello.ko.xz",
            "unload": "rmmod hello",
        }
    )
    version = int(re.findall(r"\d+", steps["kmod"].output)[0])
    is_kernels = steps["kernel"].output == "xz" and version >= _KMOD_WITH_KERNELS_DECOMPRESSION
    (call,) = _calls(steps["insmod"])
    expected = ("finit_module", "MODULE_INIT_COMPRESSED_FILE") if is_kernels else ("init_module", '""')
    assert (call.name, call.last_argument) == expected, steps["insmod"].output
    assert call.result == 0
    finding(
        "load.system-call.compressed",
        command=steps["insmod"].command,
        output=transcript(steps["kmod"], steps["kernel"], steps["insmod"]),
        call=call.name,
        by="kernel" if is_kernels else "kmod",
        kmod=version,
    )


@pytest.mark.parametrize("name", ["no.ko", "hello"])
def test_what_insmod_cannot_open_never_reaches_the_kernel(shared_guest: Guest, bench: Bench, name: str) -> None:
    # Only modprobe accepts a module's bare name: insmod needs a path.
    step = bench.steps({"insmod": f"{_STRACE} insmod {name}"})["insmod"]
    assert (step.status, _calls(step)) == (1, [])
    assert "No such file or directory" in step.output
