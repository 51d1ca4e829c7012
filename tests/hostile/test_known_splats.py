# SPDX-License-Identifier: MIT
"""A project's file of known splats that hides the kernel's reports, or takes the lab's time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from vmlab.errors import UsageError
from vmlab.klog.log import LogRecord, parse_kmsg
from vmlab.klog.rules import known_splats_file, load_rules
from vmlab.klog.splat import find_splats, whole

_LINES = """BUG: kernel NULL pointer dereference, address: 0000000000000000
#PF: supervisor read access in kernel mode
Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 0 PID: 1 Comm: insmod Tainted: G           OE      6.1.0-56-cloud-amd64 #1
RIP: 0010:hello_init+0x10/0x20 [hello]
Call Trace:
 do_one_initcall+0x56/0x220
---[ end trace 0000000000000000 ]---
WARNING: CPU: 0 PID: 1 at x.c:1 f+0x1/0x2 [hello]
the reason of the warning
CPU: 0 PID: 1 Comm: insmod Tainted: G           OE      6.1.0-56-cloud-amd64 #1
Call Trace:
 do_one_initcall+0x56/0x220
---[ end trace 0000000000000000 ]---
BUG: KASAN: use-after-free in f+0x1/0x2
Call Trace:
 do_one_initcall+0x56/0x220
BUG: something that has only a trace
CPU: 0 PID: 1 Comm: insmod Tainted: G           OE      6.1.0-56-cloud-amd64 #1
Call Trace:
 do_one_initcall+0x56/0x220
a line of the module
a line of the module
Oops: general protection fault, probably for non-canonical address: 0000 [#2] SMP
Kernel panic - not syncing: Fatal exception""".splitlines()


def _log() -> list[LogRecord]:
    return parse_kmsg("".join(f"4,{number},{1000 + number},-;{text}\n" for number, text in enumerate(_LINES)))


@pytest.mark.parametrize(
    "row",
    [
        'contains = " "\ntrouble = false',
        'contains = "o"\ntrouble = false\nneeds_trace = true',
        'contains = " "\nneeds_trace = true',
        'contains = "CPU: "\nneeds_trace = true',
        'contains = "a line"\npattern = "a"\nonce = true',
        'starts = "BUG: KASAN: "\ntrouble = false',
    ],
)
def test_no_rule_of_a_project_hides_a_report_that_vmlab_knows(row: str, tmp_path: Path) -> None:
    (tmp_path / "quiet.toml").write_text(f'[[deny]]\nkind = "quiet"\n{row}\n')
    rules = load_rules(known_splats_file(), tmp_path / "quiet.toml")
    known = [each.title for splat in find_splats(_log()) for each in whole(splat)]

    found = [each.title for splat in find_splats(_log(), rules) for each in whole(splat)]

    assert [title for title in found if title in known] == known
    assert len(known) == 6


@pytest.mark.parametrize("pattern", ["(a|aa)+$", "(?:a*)*b", "(a+){9}", r"[(](a|aa)+", r"\\(a|a)*"])
def test_a_pattern_that_may_take_for_ever_is_refused(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text(f"[[deny]]\nkind = 'slow'\ncontains = 'a'\npattern = '{pattern}'\n")

    with pytest.raises(UsageError, match="repeats a group"):
        load_rules(known_splats_file(), tmp_path / "slow.toml")


@pytest.mark.parametrize("pattern", [r"\(a\)+", "[()*+]+", r"^mydrv \S+: (?:a|b)?: \d+", "[^]()]+", r"[\](]+"])
def test_a_pattern_that_repeats_no_group_is_accepted(pattern: str, tmp_path: Path) -> None:
    (tmp_path / "good.toml").write_text(f"[[deny]]\nkind = 'good'\ncontains = 'a'\npattern = '{pattern}'\n")

    assert load_rules(known_splats_file(), tmp_path / "good.toml").deny[-1].kind == "good"


def test_a_long_line_takes_a_pattern_no_time(tmp_path: Path) -> None:
    (tmp_path / "slow.toml").write_text("[[deny]]\nkind = 'slow'\ncontains = 'a'\npattern = 'a+a+b'\n")
    (rule,) = load_rules(tmp_path / "slow.toml").deny
    start = time.monotonic()

    assert not rule.fits("a" * 4096)
    assert time.monotonic() - start < 3
