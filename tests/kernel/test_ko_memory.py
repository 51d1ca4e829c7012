# SPDX-License-Identifier: MIT
"""Placement of a .ko's sections in memory, and the permission to read the addresses."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from vmlab.perf.access import PerfAccess

from .bench import Bench, Step, transcript
from .elf import Object, Section
from .finding import Note
from .release import line_of

_APART_SINCE = (6, 4)
"""Text, data and the rest are separate since 6.4, commit ac3b43283923."""
_SECTIONS = "/sys/module/hello/sections"
_LOOK = {
    "section": f"cat {_SECTIONS}/.text",
    "modules": "grep '^hello ' /proc/modules",
    "kallsyms": "grep ' vmlab_said.*hello' /proc/kallsyms",
}

_CASES = (("ko.memory.user", 2, 0, False), ("ko.memory.allowed", 1, 0, True), ("ko.memory.restricted", 1, 1, False))
"""Key, perf_event_paranoid level, kptr_restrict, and True if the ordinary user then sees addresses."""


@pytest.fixture
def loaded(bench: Bench) -> Bench:
    bench.as_root("insmod hello.ko")
    return bench


def test_root_sees_where_each_section_lies(
    loaded: Bench, perf_access: Callable[..., PerfAccess], finding: Note
) -> None:
    """Key `ko.memory`: a line for each section of the file, `NAME OFFSET SIZE FLAGS ADDRESS`, `-` for a section without
    memory. Facts: `is_one_block`, True if the permanent part is one block; `in_memory`, the number of sections."""
    perf_access(kptr_restrict=0)
    step = loaded.steps({"": f'cd {_SECTIONS}; for s in $(ls -A); do echo "$s $(cat $s)"; done'})[""]
    addresses = {name: int(address, 16) for name, address in (line.split() for line in step.output.splitlines())}
    assert all(addresses.values())
    sections = Object(loaded.kit.ko("hello")).sections
    # Empty sections and those only the loader reads are not listed (add_sect_attrs()). The symbol table gets memory
    # without the flag and is freed with init; its permanent part is copied (layout_symtab()).
    shown = {name for name, section in sections.items() if "A" in section.flags and section.size}
    assert addresses.keys() - shown == {".symtab", ".strtab"}
    assert shown - addresses.keys() <= {".modinfo", "__versions", ".data..percpu"}
    core = [sections[name] for name in addresses if name in shown and not name.startswith(".init")]
    assert {section.name for section in core} >= {".text", ".data", ".bss", ".rodata", "__param"}
    modules = loaded.as_root("grep '^hello ' /proc/modules")
    size, base = int(modules.split()[1]), int(modules.split()[5], 16)
    span = max(addresses[s.name] + s.size for s in core) - min(addresses[s.name] for s in core)
    is_one_block = span <= size
    assert is_one_block == (line_of(loaded.kit.release) < _APART_SINCE)
    # /proc/modules shows the first page of the permanent part, or of its code where that is separate.
    assert base <= addresses[".text"] < base + size
    finding(
        "ko.memory",
        command=f"readelf --wide --sections hello.ko\n{step.command}",
        output="\n".join(_line(section, addresses) for section in sections.values() if section.name),
        is_one_block=is_one_block,
        in_memory=len(addresses),
        in_file=len(sections) - 1,
        size=size,
        modules_line=modules.strip(),
        release=loaded.kit.release,
    )


def _line(section: Section, addresses: dict[str, int]) -> str:
    address = f"{addresses[section.name]:#x}" if section.name in addresses else "-"
    return f"{section.name} {section.offset:#x} {section.size} {section.flags or '-'} {address}"


def _address(step: Step, word: int) -> int:
    assert step.status == 0, step.output
    return int(step.output.split()[word], 16)


def test_an_ordinary_user_gets_zeros_or_nothing(
    loaded: Bench, perf_access: Callable[..., PerfAccess], finding: Note
) -> None:
    """Keys `ko.memory.*`. Section files are readable by root only (mode 0400). All may read the two files in /proc;
    kallsyms_show_value() decides who sees addresses (kernel/ksyms_common.c; kernel/kallsyms.c until 6.4). With
    kptr_restrict=0 and perf_event_paranoid at most 1 everyone does, otherwise CAP_SYSLOG."""
    mode = loaded.as_root(f"stat -c %a {_SECTIONS}/.text").strip()
    assert mode == "400"
    for key, level, kptr_restrict, shown in _CASES:
        perf_access(level=level, kptr_restrict=kptr_restrict)
        steps = loaded.steps(_LOOK, is_root=False)
        assert steps["section"].status != 0
        assert "Permission denied" in steps["section"].output
        assert (_address(steps["modules"], 5) != 0, _address(steps["kallsyms"], 0) != 0) == (shown, shown), key
        finding(
            key,
            command="; ".join(_LOOK.values()),
            output=transcript(*steps.values()).replace("# ", "$ "),
            perf_event_paranoid=level,
            kptr_restrict=kptr_restrict,
            section_mode=mode,
            section_errno="EACCES",
            shows_addresses=shown,
        )


def test_kptr_restrict_2_hides_addresses_from_root_too(
    loaded: Bench, perf_access: Callable[..., PerfAccess], finding: Note
) -> None:
    """Key `ko.memory.hidden`."""
    perf_access(level=1, kptr_restrict=2)
    steps = loaded.steps(_LOOK)
    assert _address(steps["section"], 0) == _address(steps["modules"], 5) == _address(steps["kallsyms"], 0) == 0
    finding(
        "ko.memory.hidden",
        command="sysctl kernel.kptr_restrict=2; " + "; ".join(_LOOK.values()),
        output=transcript(*steps.values()),
        kptr_restrict=2,
        shows_addresses=False,
    )
