# SPDX-License-Identifier: MIT
"""Debug information that is damaged or not there resolves nothing and breaks nothing; what is whole, the zoo shows."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmlab.guest.kernel_log import LogRecord
from vmlab.guest.splat import Splat
from vmlab.guest.trace import Frame
from vmlab.module.symbols import Symbols, with_sources


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300).map(lambda tail: b"\x7fELF\x02\x01\x01" + tail) | st.binary(max_size=100))
def test_what_is_no_module_resolves_nothing(data: bytes, tmp_path: Path) -> None:
    ko = tmp_path / "module.ko"
    ko.write_bytes(data)
    assert Symbols(ko).source_of("fib_read", 1) == ""


def test_a_module_that_is_gone_resolves_nothing(tmp_path: Path) -> None:
    assert Symbols(tmp_path / "none.ko").source_of("fib_read", 1) == ""


class _Symbols(Symbols):
    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []

    def source_of(self, function: str, offset: int) -> str:
        self.asked.append((function, offset))
        return f"{function}.c:{offset}"


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
