# SPDX-License-Identifier: MIT
"""The reason of a failed build: one table of build outputs and the line that explains each."""

from __future__ import annotations

import time

import pytest

from vmlab.reason.build import build_reason

from .build_outputs import KERNEL, OUTPUTS

_FILES = ("Kbuild", "Makefile", "fib.c", "fib.h", "src/fib.c", "fib.rs", "start.S")


def _reason(output: str) -> str:
    return build_reason(output, directory="/build/fib", files=_FILES).text


def _place(output: str) -> str:
    return build_reason(output, directory="/build/fib", files=_FILES).place


@pytest.mark.parametrize(("output", "reason"), OUTPUTS.values(), ids=OUTPUTS.keys())
def test_the_reason_is_the_line_that_tells_something(output: str, reason: str) -> None:
    assert _reason(output) == reason


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("/build/fib/src/fib.c:42:9: error: no\n", "src/fib.c:42"),
        ("make: Entering directory '/k'\nmake[1]: Entering directory '/build/fib'\nfib.c:7:2: error: no\n", "fib.c:7"),
        ("fib.c:7:2: error: no\n", "fib.c:7"),
        ("/usr/src/linux/fib.c:7:2: error: no\n", ""),
        ("/build/fib/Kbuild:3: *** missing separator.  Stop.\n", "Kbuild:3"),
        ("make[1]: Entering directory '/build/fib'\nMakefile:3: *** missing separator.  Stop.\n", "Makefile:3"),
        ("make: Entering directory '/usr/src/linux'\nMakefile:3: *** no modules.  Stop.\n", ""),
        (
            "make[1]: Entering directory '/build/fib'\nmake[1]: Leaving directory '/build/fib'\nMakefile:3: *** no\n",
            "Makefile:3",
        ),
        ("/build/fib/fib.c:12: undefined reference to `f'\n", "fib.c:12"),
        ("error[E0425]: cannot find value\n --> fib.rs:3:5\n  |\n", "fib.rs:3"),
        (f"In file included from /build/fib/fib.c:3:\n{KERNEL}/include/linux/x.h:9:2: error: #error no\n", "fib.c:3"),
        (
            "In function 'in',\n    inlined from 'k' at /build/fib/fib.c:7:2:\n"
            f"{KERNEL}/x.h:1:1: error: call to '__bad' declared with attribute error: BUILD_BUG_ON failed\n",
            "fib.c:7",
        ),
        (
            f"/build/fib/fib.c: In function 'f':\n{KERNEL}/x.h:1:14: error: implicit declaration of function 'g'\n"
            "    1 | #define T(x) g(x)\n      |              ^\n"
            f"{KERNEL}/x.h:2:14: note: in expansion of macro 'T'\n    2 | #define U(x) T(x)\n      |              ^\n"
            "/build/fib/fib.c:4:9: note: in expansion of macro 'U'\n",
            "fib.c:4",
        ),
        ("/tmp/ccab.s:12: Error: no such instruction: `foo'\n", ""),
        ("ERROR: modpost: missing MODULE_LICENSE() in fib.o\n", ""),
    ],
)
def test_the_place_is_the_modules_own_or_none(output: str, place: str) -> None:
    assert _place(output) == place


@pytest.mark.parametrize(
    ("output", "symbol", "object"),
    [
        ('ERROR: modpost: "no_such_symbol" [fib.ko] undefined!\n', "no_such_symbol", ""),
        ("FATAL: modpost: GPL-incompatible module fib.ko uses GPL-only symbol 'kill_it'\n", "kill_it", ""),
        ("ERROR: modpost: module fib uses symbol get from namespace X, but does not import it.\n", "get", ""),
        ("ERROR: modpost: missing MODULE_LICENSE() in /build/fib/fib.o\n", "", "fib.o"),
        ("fib.o: error: objtool: fib_read+0x1c: unreachable instruction\n", "fib_read", "fib.o"),
        ("/build/fib/fib.c:1:1: error: no\n", "", ""),
    ],
)
def test_what_modpost_and_objtool_complain_about_is_kept(output: str, symbol: str, object: str) -> None:
    found = build_reason(output, directory="/build/fib", files=_FILES)
    assert (found.symbol, found.object) == (symbol, object)


def test_a_reason_is_one_line_of_decent_length_without_control_characters() -> None:
    reason = _reason("/build/fib/fib.c:1:1: error: " + "\u202ex\x00\u2028" * 500)
    assert 200 < len(reason) <= 240
    assert reason.isprintable()


def test_a_line_of_megabytes_is_read_in_seconds() -> None:
    started = time.monotonic()

    reason = _reason("/a-" * 1_000_000 + "\n" + "x" * 100)

    assert reason == "x" * 100
    assert time.monotonic() - started < 20


def test_the_reason_is_found_before_and_after_very_many_lines() -> None:
    flood = "x\n" * 200_000

    assert _reason(f"fib.c:1:2: error: first\n{flood}") == "fib.c:1: first"
    assert _reason(f"{flood}fib.c:1:2: error: last\n") == "fib.c:1: last"


def test_a_very_deep_level_of_make_is_left_out() -> None:
    levels = "make: Entering directory '/build/fib'\nmake[60]: Entering directory '/x'\n"

    assert _place(f"{levels}Makefile:3: *** missing separator.  Stop.\n") == "Makefile:3"
