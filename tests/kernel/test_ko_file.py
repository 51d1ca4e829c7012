# SPDX-License-Identifier: MIT
"""The function given to module_init(), and the contents of a built .ko."""

from __future__ import annotations

import pytest

from .bench import Bench, transcript
from .elf import Object
from .finding import Note
from .kit import Kit

_READELF = "readelf --wide"


@pytest.fixture
def hello(kit: Kit) -> Object:
    return Object(kit.ko("hello"))


def test_init_module_is_another_name_of_our_function(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.init-alias`. module_init() declares init_module() as an alias (include/linux/module.h)."""
    ours, alias = hello.symbol("hello_init"), hello.symbol("init_module")
    assert ours is not None
    assert alias is not None
    assert (alias.section, alias.value, alias.size) == (ours.section, ours.value, ours.size)
    assert (ours.binding, alias.binding) == ("LOCAL", "GLOBAL")
    assert ours.section == ".init.text"
    step = bench.steps({"": f"{_READELF} --symbols hello.ko | grep -E 'Num:|hello_init|hello_exit|_module$'"})[""]
    finding(
        "ko.init-alias",
        command=step.command,
        output=step.output,
        alias_of="hello_init",
        is_same_address=alias.value == ours.value,
        section=ours.section,
        binding_of_ours=ours.binding,
        binding_of_alias=alias.binding,
    )


def test_this_module_points_to_init_module(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.this-module`. The section is the module's struct module, made by modpost (add_header(),
    scripts/mod/modpost.c); the kernel finds init there, not by the name init_module."""
    targets = {each.symbol: each.offset for each in hello.relocations_of(".gnu.linkonce.this_module")}
    assert set(targets) == {"init_module", "cleanup_module"}
    size = hello.sections[".gnu.linkonce.this_module"].size
    assert all(offset < size for offset in targets.values())
    assert b"hello\0" in hello.data(".gnu.linkonce.this_module")
    step = bench.steps({"": f"{_READELF} --relocs hello.ko | grep -A 3 linkonce.this_module"})[""]
    finding(
        "ko.this-module",
        command=step.command,
        output=step.output,
        size=size,
        init_target="init_module",
        init_offset=targets["init_module"],
        exit_offset=targets["cleanup_module"],
    )


def test_without_module_it_is_an_initcall(bench: Bench, kit: Kit, finding: Note) -> None:
    """Key `ko.built-in`. Without -DMODULE module_init() is device_initcall(), level 6 (include/linux/module.h,
    include/linux/init.h): a pointer in a section that the kernel walks at boot."""
    builtin = Object(kit.builtin)
    section = ".initcall6.init"
    assert section in builtin.sections
    assert {each.symbol for each in builtin.relocations_of(section)} <= {"hello_init", ".init.text"}
    names = {symbol.name for symbol in builtin.symbols}
    assert not names & {"init_module", "cleanup_module", "__this_module"}
    assert ".gnu.linkonce.this_module" not in builtin.sections
    assert "vermagic" not in dict(builtin.modinfo)
    # Not a module, so the kit's archive in the guest lacks it.
    bench.guest.put(kit.builtin, "/tmp/builtin.o")
    step = bench.steps(
        {"": f"{_READELF} --sections --relocs /tmp/builtin.o | grep -E 'initcall|exitcall' -A 2 | grep -E 'init|exit'"}
    )[""]
    finding(
        "ko.built-in",
        command=f"make -C /lib/modules/$(uname -r)/build M=$PWD/builtin hello.o; {_READELF} -Sr hello.o",
        output=step.output,
        section=section,
        has_init_module=False,
        has_exitcall=".exitcall.exit" in builtin.sections,
    )


def test_modinfo_says_what_modinfo_prints(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.modinfo`."""
    pairs = hello.modinfo
    first = dict(reversed(pairs))
    assert (first["name"], first["license"], first["depends"]) == ("hello", "GPL", "")
    assert first["vermagic"].split()[0] == bench.kit.release
    assert "intree" not in first
    assert sorted(value for key, value in pairs if key == "parmtype") == ["number:uint", "said:uint"]
    steps = bench.steps({"raw": f"{_READELF} --string-dump=.modinfo hello.ko", "modinfo": "modinfo hello.ko"})
    assert all(f"{value}" in steps["modinfo"].output for key, value in pairs if key in ("license", "vermagic"))
    finding(
        "ko.modinfo",
        command=steps["raw"].command,
        output=transcript(steps["raw"], steps["modinfo"]),
        vermagic=first["vermagic"],
        license=first["license"],
        depends=first["depends"],
        keys=" ".join(dict.fromkeys(key for key, _ in pairs)),
    )


def test_versions_holds_a_crc_of_every_symbol_that_is_used(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.versions`. Only with CONFIG_MODVERSIONS; the kernel compares the CRCs at load (check_version())."""
    options = bench.as_root(
        "grep -E '^CONFIG_(MODVERSIONS|EXTENDED_MODVERSIONS|BASIC_MODVERSIONS)=' /boot/config-$(uname -r); true"
    )
    has_modversions = "CONFIG_MODVERSIONS=y" in options
    is_stated = "modversions" in dict(reversed(hello.modinfo))["vermagic"].split()
    assert is_stated == has_modversions
    if has_modversions:
        assert set(hello.versions) == {*hello.undefined, "module_layout"}
    else:
        assert hello.versions == {}
    steps = bench.steps(
        {"options": "grep MODVERSIONS /boot/config-$(uname -r)", "crcs": "modprobe --dump-modversions ./hello.ko"}
    )
    finding(
        "ko.versions",
        command=steps["crcs"].command,
        output=transcript(*steps.values()),
        has_modversions=has_modversions,
        count=len(hello.versions),
        undefined=" ".join(hello.undefined),
    )


def test_code_for_once_lies_apart_from_code_that_stays(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.init-text`."""
    where = {name: hello.symbol(name) for name in ("hello_init", "hello_exit", "hello_say", "vmlab_said")}
    sections = {name: symbol.section for name, symbol in where.items() if symbol is not None}
    assert sections["hello_init"] == ".init.text"
    assert sections["hello_exit"] == ".exit.text"
    assert sections["vmlab_said"] == ".text"
    assert sections["hello_say"] in (".text", ".text.unlikely")
    assert all("X" in hello.sections[section].flags for section in sections.values())
    step = bench.steps({"": f"{_READELF} --sections hello.ko | grep -E 'Name|text'"})[""]
    finding("ko.init-text", command=step.command, output=step.output, **sections)


def test_param_is_a_table_of_parameters(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.param`. An entry is a struct kernel_param: name, module, operations, permissions, the value's address."""
    relocations = hello.relocations_of("__param")
    assert hello.parameters == 2
    by_entry = [{each.offset % 40: each.symbol for each in relocations if each.offset // 40 == n} for n in range(2)]
    assert all((entry[8], entry[16]) == ("__this_module", "param_ops_uint") for entry in by_entry)
    assert {entry[32].partition(".")[0] or entry[32] for entry in by_entry} <= {"number", "said", ".data", ".bss"}
    step = bench.steps({"": f"{_READELF} --relocs hello.ko | grep -A 9 rela__param"})[""]
    finding(
        "ko.param",
        command=step.command,
        output=step.output,
        entries=hello.parameters,
        entry_bytes=40,
        operations="param_ops_uint",
    )


def test_each_rela_section_patches_the_one_it_is_named_after(bench: Bench, hello: Object, finding: Note) -> None:
    """Key `ko.rela`. The relocations that apply_relocations() processes; facts: section to number of places in it."""
    counts: dict[str, int] = {}
    for each in hello.relocations:
        counts[each.section] = counts.get(each.section, 0) + 1
        assert 0 <= each.offset < hello.sections[each.section].size
    assert {".init.text", ".exit.text", "__param", ".gnu.linkonce.this_module"} <= set(counts)
    used = {each.symbol for each in hello.relocations}
    assert set(hello.undefined) <= used
    step = bench.steps({"": f"{_READELF} --relocs hello.ko"})[""]
    finding(
        "ko.rela",
        command=step.command,
        output=step.output,
        relocations=len(hello.relocations),
        sections=" ".join(f"{name}:{count}" for name, count in counts.items()),
        undefined=" ".join(hello.undefined),
    )
