# SPDX-License-Identifier: MIT
"""The source line of an address in a module, including inlined calls; damaged files resolve nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unit.module.debug_object import SECTIONS, Function, Inlined, Unit, object_file
from vmlab.klog.call_trace import Frame, Line
from vmlab.klog.log import LogRecord
from vmlab.klog.splat import Splat, describe
from vmlab.klog.verdict import source_of
from vmlab.module.symbols import Symbols, with_sources

_HEADERS = "/usr/src/linux-headers-6.1.0-56-cloud-amd64"
_COMMON = "/usr/src/linux-headers-6.1.0-56-common"
_VERSIONS = pytest.mark.parametrize("version", [4, 5])
# gauge_read() calls put_level(), which calls copy_to_user(), which calls check_copy_size(): all are inlined. After them
# gauge_read() continues, and reads the thread's flags.
_CHECK = Inlined(function="check_copy_size", pieces=((0x10, 0x18),), file=4, line=169)
_COPY = Inlined(function="copy_to_user", pieces=((0x10, 0x20),), file=2, line=12, inside=(_CHECK,))
_PUT = Inlined(function="put_level", pieces=((0x8, 0x20), (0x40, 0x48)), file=1, line=88, inside=(_COPY,))
_FLAGS = Inlined(function="test_ti_thread_flag", pieces=((0x28, 0x30),), file=1, line=91)
_UNIT = Unit(
    source="/build/gauge/core/gauge.c",
    directory=_HEADERS,
    files=(
        "/build/gauge/core/gauge.c",
        "/build/gauge/core/level.h",
        f"{_COMMON}/include/linux/thread_info.h",
        f"{_COMMON}/include/linux/uaccess.h",
        "./arch/x86/include/generated/asm/flags.h",
    ),
    rows=(
        (0x00, 1, 85),
        (0x08, 2, 10),
        (0x10, 3, 217),
        (0x18, 4, 170),
        (0x20, 1, 90),
        (0x28, 5, 7),
        (0x30, 1, 92),
        (0x40, 2, 14),
        (0x48, 1, 93),
        (0x60, 3, 301),
    ),
    functions=(
        Function(name="gauge_read", start=0, end=0x60, inside=(_PUT, _FLAGS)),
        Function(name="copy_overflow", start=0x60, end=0x70),
    ),
)
_INIT = Unit(
    source="/build/gauge/main.c",
    directory=_HEADERS,
    files=("/build/gauge/main.c",),
    rows=((0, 1, 20), (0x10, 1, 21)),
    functions=(Function(name="gauge_init", start=0, end=0x20),),
    section=SECTIONS[1],
)


def _symbols(tmp_path: Path, *units: Unit, version: int = 5, machine: str = "x86", root: str = "") -> Symbols:
    ko = tmp_path / "gauge.ko"
    ko.write_bytes(object_file(*(units or (_UNIT, _INIT)), version=version, machine=machine))
    return Symbols(ko, root=root)


def _frame(function: str, offset: int, *, is_exact: bool = True, is_guess: bool = False) -> Frame:
    return Frame(function=function, offset=offset, size=0x60, module="gauge", is_exact=is_exact, is_guess=is_guess)


def _splat(*frames: Frame) -> Splat:
    record = LogRecord(sequence=1, level=4, time_s=1, text="WARNING: CPU: 0 PID: 1 at a.c:1")
    return Splat(kind="WARNING", title=record.text, frames=frames, records=(record,))


@_VERSIONS
@pytest.mark.parametrize("machine", ["x86", "arm64"])
@pytest.mark.parametrize(
    ("offset", "source"),
    [
        (0x00, "core/gauge.c:85"),
        (0x08, "core/level.h:10"),
        (0x10, "core/level.h:12"),
        (0x18, "core/level.h:12"),
        (0x20, "core/gauge.c:90"),
        (0x28, "core/gauge.c:91"),
        (0x2F, "core/gauge.c:91"),
        (0x30, "core/gauge.c:92"),
        (0x40, "core/level.h:14"),
        (0x48, "core/gauge.c:93"),
    ],
)
def test_an_address_is_of_the_innermost_line_in_the_modules_own_files(
    tmp_path: Path, version: int, machine: str, offset: int, source: str
) -> None:
    assert _symbols(tmp_path, version=version, machine=machine).source_of("gauge_read", offset) == source


@_VERSIONS
def test_a_chain_of_inlined_functions_is_read_innermost_first(tmp_path: Path, version: int) -> None:
    lines = _symbols(tmp_path, version=version).lines_of("gauge_read", 0x10)
    assert lines == (
        Line(file="include/linux/thread_info.h", line=217, function="check_copy_size", is_own=False),
        Line(file="include/linux/uaccess.h", line=169, function="copy_to_user", is_own=False),
        Line(file="core/level.h", line=12, function="put_level"),
        Line(file="core/gauge.c", line=88, function="gauge_read"),
    )


@_VERSIONS
def test_a_function_wholly_in_a_kernel_header_has_that_headers_line(tmp_path: Path, version: int) -> None:
    symbols = _symbols(tmp_path, version=version)
    assert symbols.source_of("copy_overflow", 4) == "include/linux/thread_info.h:301"


@_VERSIONS
def test_sections_that_begin_at_the_same_address_are_kept_apart(tmp_path: Path, version: int) -> None:
    symbols = _symbols(tmp_path, version=version)
    assert symbols.source_of("gauge_init", 0x10) == "main.c:21"
    assert symbols.source_of("gauge_read", 0x10) == "core/level.h:12"


def test_a_header_of_the_module_that_is_called_like_the_kernels_is_its_own(tmp_path: Path) -> None:
    call = Inlined(function="flags_of", pieces=((0x10, 0x20),), file=1, line=40)
    unit = Unit(
        source="/build/gauge/gauge.c",
        directory=_HEADERS,
        files=(
            "/build/gauge/gauge.c",
            "/build/gauge/include/linux/thread_info.h",
            f"{_COMMON}/include/linux/thread_info.h",
        ),
        rows=((0, 1, 30), (0x10, 2, 217), (0x18, 3, 217), (0x20, 1, 41)),
        functions=(Function(name="gauge_read", start=0, end=0x30, inside=(call,)),),
    )
    symbols = _symbols(tmp_path, unit)
    assert symbols.source_of("gauge_read", 0x10) == "include/linux/thread_info.h:217"
    assert symbols.source_of("gauge_read", 0x18) == "gauge.c:40"


def test_since_6_13_make_runs_in_the_modules_directory(tmp_path: Path) -> None:
    call = Inlined(function="flags_of", pieces=((0x10, 0x20),), file=1, line=40)
    unit = Unit(
        source="gauge.c",
        directory="/build/gauge",
        files=("gauge.c", "./include/gauge/flags.h", f"{_COMMON}/include/linux/thread_info.h"),
        rows=((0, 1, 30), (0x10, 2, 5), (0x18, 3, 217), (0x20, 1, 41)),
        functions=(Function(name="gauge_read", start=0, end=0x30, inside=(call,)),),
    )
    kernels = Unit(
        source=f"{_COMMON}/scripts/module-common.c", directory="/build/gauge", files=("x.c",), rows=(), functions=()
    )
    symbols = _symbols(tmp_path, unit, kernels)
    assert symbols.source_of("gauge_read", 0) == "gauge.c:30"
    assert symbols.source_of("gauge_read", 0x10) == "include/gauge/flags.h:5"
    assert symbols.source_of("gauge_read", 0x18) == "gauge.c:40"


def test_headers_beside_the_compiled_files_are_the_modules_where_it_was_built(tmp_path: Path) -> None:
    call = Inlined(function="flags_of", pieces=((0x10, 0x20),), file=1, line=40)
    unit = Unit(
        source="/build/gauge/src/gauge.c",
        directory=_HEADERS,
        files=(
            "/build/gauge/src/gauge.c",
            "/build/gauge/include/linux/flags.h",
            f"{_COMMON}/include/linux/thread_info.h",
        ),
        rows=((0, 1, 30), (0x10, 2, 5), (0x20, 3, 1)),
        functions=(Function(name="gauge_read", start=0, end=0x30, inside=(call,)),),
    )
    assert _symbols(tmp_path, unit, root="/build/gauge").source_of("gauge_read", 0x10) == "include/linux/flags.h:5"
    assert _symbols(tmp_path, unit, root="/elsewhere").source_of("gauge_read", 0) == "gauge.c:30"


def test_an_object_built_at_the_top_of_the_kernels_tree_still_has_the_kernels_headers(tmp_path: Path) -> None:
    call = Inlined(function="flags_of", pieces=((0x10, 0x20),), file=1, line=40)
    unit = Unit(
        source="gauge.c",
        directory="/usr/src/linux",
        files=("gauge.c", "./include/linux/thread_info.h"),
        rows=((0, 1, 30), (0x10, 2, 217), (0x20, 1, 41)),
        functions=(Function(name="gauge_read", start=0, end=0x30, inside=(call,)),),
    )
    assert _symbols(tmp_path, unit).source_of("gauge_read", 0x10) == "gauge.c:40"


def test_a_report_is_blamed_on_the_module_and_shows_what_is_inlined(tmp_path: Path) -> None:
    (splat,) = with_sources([_splat(_frame("gauge_read", 0x10))], _symbols(tmp_path), "gauge")
    assert source_of([splat]) == "core/level.h:12"
    assert describe([splat]).splitlines()[-5:] == [
        "  gauge_read+0x10/0x60 [gauge]  core/level.h:12",
        "    check_copy_size  include/linux/thread_info.h:217",
        "    copy_to_user  include/linux/uaccess.h:169",
        "    put_level  core/level.h:12",
        "    gauge_read  core/gauge.c:88",
    ]


def test_a_frame_in_the_kernels_headers_leaves_the_blame_to_its_caller(tmp_path: Path) -> None:
    frames = (_frame("copy_overflow", 4), _frame("gauge_read", 0x31, is_exact=False))
    (splat,) = with_sources([_splat(*frames)], _symbols(tmp_path), "gauge")
    assert splat.frames[0].source == "include/linux/thread_info.h:301"
    assert source_of([splat]) == "core/gauge.c:92"


def test_a_report_that_leads_to_no_line_of_the_module_has_no_source(tmp_path: Path) -> None:
    (splat,) = with_sources([_splat(_frame("copy_overflow", 4))], _symbols(tmp_path), "gauge")
    assert source_of([splat]) == ""


def test_a_certain_frames_line_goes_before_a_guessed_ones(tmp_path: Path) -> None:
    frames = (_frame("gauge_read", 0x49, is_exact=False, is_guess=True), _frame("gauge_read", 0x21, is_exact=False))
    (splat,) = with_sources([_splat(*frames)], _symbols(tmp_path), "gauge")
    assert source_of([splat]) == "core/gauge.c:90"


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300).map(lambda tail: b"\x7fELF\x02\x01\x01" + tail) | st.binary(max_size=100))
def test_what_is_no_module_resolves_nothing(data: bytes, tmp_path: Path) -> None:
    ko = tmp_path / "module.ko"
    ko.write_bytes(data)
    assert Symbols(ko).source_of("fib_read", 1) == ""


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    version=st.sampled_from([4, 5]),
    spoilt=st.lists(st.tuples(st.integers(min_value=64), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_module_with_spoilt_bytes_raises_nothing(version: int, spoilt: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(object_file(_UNIT, _INIT, version=version))
    for place, byte in spoilt:
        data[place % len(data)] = byte
    ko = tmp_path / "module.ko"
    ko.write_bytes(data)
    symbols = Symbols(ko)
    for offset in range(0, 0x60, 8):
        assert isinstance(symbols.source_of("gauge_read", offset), str)


@pytest.mark.parametrize("kept", range(0, 2000, 37))
def test_a_module_that_was_cut_off_raises_nothing(kept: int, tmp_path: Path) -> None:
    ko = tmp_path / "module.ko"
    ko.write_bytes(object_file(_UNIT)[:kept])
    assert Symbols(ko).source_of("gauge_read", 0x10) == ""


def test_a_module_that_is_gone_resolves_nothing(tmp_path: Path) -> None:
    assert Symbols(tmp_path / "none.ko").source_of("fib_read", 1) == ""


class _Symbols(Symbols):
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def lines_of(self, function: str, offset: int) -> tuple[Line, ...]:
        self.asked.append((function, offset))
        return (Line(file=f"{function}.c", line=offset),)


def test_a_callers_line_is_that_of_its_call_and_only_the_modules_own_frames_are_asked() -> None:
    frames = (
        Frame(function="fib_read", offset=16, size=64, module="fibdrv", is_exact=True),
        Frame(function="vfs_read", offset=16, size=64),
        Frame(function="fib_open", offset=16, size=64, module="fibdrv"),
        Frame(function="other", offset=16, size=64, module="other"),
    )
    splat = Splat(
        kind="oops", title="Oops", frames=frames, records=(LogRecord(sequence=1, level=4, time_s=1, text="Oops"),)
    )
    symbols = _Symbols()
    (resolved,) = with_sources([splat], symbols, "fibdrv")
    assert symbols.asked == [("fib_read", 16), ("fib_open", 15)]
    assert [frame.source for frame in resolved.frames] == ["fib_read.c:16", "", "fib_open.c:15", ""]
