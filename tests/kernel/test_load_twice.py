# SPDX-License-Identifier: MIT
"""Two simultaneous loads of the same module: the first is held in its init, so that the second must wait for it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from .bench import Bench
from .finding import Note
from .release import line_of

_ERRNOS = {
    "File exists": "EEXIST",
    "Device or resource busy": "EBUSY",
    "No such device": "ENODEV",
}
_ENDS = r"## the \1 insmod ends with status \2"
_SHARED_SINCE = (6, 5)
"""Loads of one file share one result since 6.5, commit 9b9879fc0327."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Two:
    """Results of two loads, and the function in which the second waited."""

    first: str
    second: str
    first_stack: tuple[str, ...]
    second_stack: tuple[str, ...]
    output: str


def _load_twice(bench: Bench, second_file: str, parameters: str = "") -> Two:
    """Load gate.ko and, while its init waits, `second_file`; then let init continue."""
    waits = r'grep -Eq "load_module|idempotent" /proc/$second/stack && grep -Eq "^State:.[SD]" /proc/$second/status'
    printed = bench.as_root(
        f"""
cp gate.ko gate_copy.ko
insmod gate.ko {parameters} >/run/first 2>&1 & first=$!
await '[ "$(cat /sys/module/gate/initstate)" = coming ]'
insmod {second_file} {parameters} >/run/second 2>&1 & second=$!
await '{waits}'
echo "## the first waits in its init:"; cat /proc/$first/stack
echo "## the second waits for the first:"; cat /proc/$second/stack
echo 1 >/sys/module/gate/parameters/open
wait $first; echo "## first: $?"; cat /run/first
wait $second; echo "## second: $?"; cat /run/second
grep -q '^gate ' /proc/modules && rmmod gate
rm -f gate_copy.ko
"""
    )
    parts = dict(re.findall(r"^## (first|second): \d+\n((?:(?!##).*\n)*)", printed, re.MULTILINE))
    stacks = re.findall(r"^## .* waits .*:\n((?:\[<.*\n)*)", printed, re.MULTILINE)
    first_stack, second_stack = (tuple(re.findall(r"\] (\w+)", stack)) for stack in stacks)
    return Two(
        first=_errno(parts["first"]),
        second=_errno(parts["second"]),
        first_stack=first_stack,
        second_stack=second_stack,
        output=re.sub(r"^## (first|second): (\d+)$", _ENDS, printed, flags=re.MULTILINE).strip(),
    )


def _typed(second_file: str, parameters: str) -> str:
    return (
        f"insmod gate.ko{parameters} & first=$!\ninsmod {second_file}{parameters} & second=$!\n"
        "cat /proc/$first/stack /proc/$second/stack\n"
        "echo 1 >/sys/module/gate/parameters/open; wait $first; echo $?; wait $second; echo $?"
    )


def _errno(said: str) -> str:
    """`0`, or the errno that insmod named."""
    if not said.strip():
        return "0"
    return next((errno for text, errno in _ERRNOS.items() if said.strip().endswith(text)), said.strip())


@pytest.mark.parametrize(
    ("key", "second_file", "parameters", "before", "since"),
    [
        ("load.twice.same-file", "gate.ko", "", ("0", "EEXIST"), ("0", "0")),
        ("load.twice.two-copies", "gate_copy.ko", "", ("0", "EEXIST"), ("0", "EEXIST")),
        ("load.twice.failing", "gate.ko", "fail=1", ("ENODEV", "EBUSY"), ("ENODEV", "ENODEV")),
        ("load.twice.failing-copies", "gate_copy.ko", "fail=1", ("ENODEV", "EBUSY"), ("ENODEV", "EBUSY")),
    ],
    ids=["same-file", "two-copies", "same-file-failing", "two-copies-failing"],
)
def test_the_second_of_two_loads_is_answered(
    bench: Bench,
    finding: Note,
    key: str,
    second_file: str,
    parameters: str,
    before: tuple[str, str],
    since: tuple[str, str],
) -> None:
    """Keys `load.twice.*`. The second load waits for the first one's result. Until 6.4, and for another file of the
    same module, it then fails with EEXIST, or with EBUSY when the first failed. EBUSY came in 6.2, commit 0254127ab977,
    and in 5.10's and 6.1's stable releases: before, the kernel retried. Since 6.5 loads of the same file (by inode)
    share one result."""
    two = _load_twice(bench, second_file, parameters)
    is_shared = line_of(bench.kit.release) >= _SHARED_SINCE
    assert (two.first, two.second) == (since if is_shared else before), two.output
    assert {"gate_init", "do_init_module"} <= set(two.first_stack), two.output
    waits_in = "idempotent_init_module" if is_shared and second_file == "gate.ko" else "load_module"
    assert waits_in in two.second_stack, two.output
    finding(
        key,
        command=_typed(second_file, f" {parameters}".rstrip()),
        output=two.output,
        first=two.first,
        second=two.second,
        second_waits_in=waits_in,
        first_stack=" < ".join(two.first_stack),
    )
