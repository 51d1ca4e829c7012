# SPDX-License-Identifier: MIT
"""A compiler other than the kernel's: Kbuild's warning, harmless differences, breakage, and unchecked differences."""

from __future__ import annotations

import re

import pytest

from vmlab.catalogue.target import Target
from vmlab.guest.guest import Guest
from vmlab.module.compiler import kernel_compiler

from .finding import Note
from .spoiled_ko import vermagic_of
from .typed import Bring, by_root, by_user, with_log
from .workshop import CHECKED, WARNING, Made, Workshop, unknown_options_in

_FIRST_WITH_CHECK = (5, 15)
"""`prepare` in the top Makefile: commit 6072b2c49d23, "kbuild: warn if a different compiler is used for external module
builds"."""


def _has_check(workshop: Workshop) -> bool:
    major, minor = workshop.image.release.split(".")[:2]
    return (int(major), int(minor)) >= _FIRST_WITH_CHECK


def _other(workshop: Workshop) -> str:
    if workshop.other is None:
        pytest.skip(
            f"every image of this run has gcc {workshop.at_hand.major}: no compiler of another version to borrow"
        )
    return workshop.other.name


def _other_name(workshop: Workshop) -> str:
    assert workshop.other_names, f"{workshop.kernel.name} goes by no other name"
    return workshop.other_names[0]


def _differing(made: Made) -> tuple[str, str]:
    """The two texts that Kbuild compared."""
    built = re.search(r"The kernel was built by: (.*)", made.output)
    used = re.search(r"You are using: +(.*)", made.output)
    assert built is not None, made.output
    assert used is not None, made.output
    return built[1], used[1]


def test_a_kernel_tells_which_compiler_built_it(shared_guest: Guest, workshop: Workshop, finding: Note) -> None:
    said = by_user(shared_guest, "grep CC_VERSION_TEXT /boot/config-$(uname -r); cat /proc/version")
    built = kernel_compiler(said.output)
    finding("compiler.kernel", **said.shown, text=built.text, version=built.version, name=built.name)
    assert built == workshop.kernel
    assert f"({built.text}," in said.output, "the configuration and the running kernel tell the same"


def test_one_compiler_goes_by_several_names(workshop: Workshop, finding: Note) -> None:
    names = [workshop.at_hand.name, *workshop.other_names]
    paths = " ".join(f"$(command -v {name})" for name in names)
    command = f"for cc in {' '.join(names)}; do $cc --version | head -n 1; done; readlink -f {paths}"
    output = workshop.run(command)
    lines = output.splitlines()
    finding("compiler.names", command=command, output=output, names=" ".join(names), count=len(names))
    assert len(set(lines[len(names) :])) == 1, "all are one file"
    # The texts differ in their first word only: that is what Kbuild compares.
    assert len(set(lines[: len(names)])) == len(names) > 1
    assert len({line.partition(" ")[2] for line in lines[: len(names)]}) == 1


def test_where_the_headers_compare_compilers(target: Target, workshop: Workshop, finding: Note) -> None:
    headers = f"/usr/src/linux-headers-{workshop.image.release}"
    command = f"cd {headers}; grep -h -A 3 CC_VERSION_CHECK $(sed -n 's/^include //p' Makefile) .kernelvariables; true"
    output = workshop.run(command)
    has_check, is_off = WARNING in output, "DEBIAN_KERNEL_NO_CC_VERSION_CHECK = y" in output
    finding("compiler.check", command=command, output=output, has_check=has_check, debian_switches_off=is_off)
    assert has_check is _has_check(workshop)
    if target.suite.distribution == "debian":
        # Debian bug 1019749: its headers select the compiler's major version themselves, and no longer warn.
        assert is_off is has_check


def test_another_name_for_the_same_compiler_is_warned_of_where_the_check_is_on(
    target: Target, workshop: Workshop, finding: Note
) -> None:
    name = _other_name(workshop)
    # The comparison is the whole purpose of the goal `prepare`.
    as_shipped, checked = workshop.make(name), workshop.make(name, CHECKED, goal="prepare")
    for key, made in (("compiler.silent", as_shipped), ("compiler.other-name", checked)):
        finding(key, command=made.command, output=made.output, warns=made.warns, name=name, builds=made.status == 0)
    assert checked.status == 0, checked.output
    assert checked.warns is _has_check(workshop)
    if target.suite.distribution == "debian":
        assert not as_shipped.warns
    if checked.warns:
        built, used = _differing(checked)
        assert built == workshop.kernel.text
        assert built.split(" ", 1)[1] == used.split(" ", 1)[1]


def test_the_kernels_own_name_for_it_cures_that_and_changes_not_a_byte(workshop: Workshop, finding: Note) -> None:
    cured, other = workshop.make(workshop.kernel.name, CHECKED), workshop.make(_other_name(workshop))
    finding(
        "compiler.cured",
        command=cured.command,
        output=cured.output,
        warns=cured.warns,
        name=workshop.kernel.name,
        same_bytes=cured.ko == other.ko,
    )
    assert (cured.status, cured.warns) == (0, False), cured.output
    assert cured.ko == other.ko != b""


def test_a_compiler_of_another_version_is_told_and_may_not_know_the_kernels_options(
    workshop: Workshop, finding: Note
) -> None:
    name = _other(workshop)
    made = workshop.make(name, CHECKED, path=workshop.other.path)  # type: ignore[union-attr]
    unknown = unknown_options_in(made.output)
    finding(
        "compiler.other-version",
        command=made.command,
        output=made.output,
        compiler=name,
        kernel_compiler=workshop.kernel.text,
        warns=made.warns,
        builds=made.status == 0,
        unknown_option=" ".join(sorted(unknown)),
    )
    assert made.warns is _has_check(workshop), made.output
    if made.warns:
        built, used = _differing(made)
        assert (built, used.split()[0]) == (workshop.kernel.text, name)
        assert f" {workshop.kernel.version}" not in used
    # The kernel's configuration lists its own compiler's options; the other compiler is never asked.
    assert unknown == set(workshop.unknown_options), made.output
    assert (made.status == 0) is not bool(unknown), made.output


def _by_the_other(workshop: Workshop) -> Made:
    """Build with the other compiler, or with its tolerant wrapper when it lacks an option: the wrapper has the effect
    of editing a Makefile."""
    name = _other(workshop)
    path = workshop.other.tolerant_path if workshop.unknown_options else workshop.other.path  # type: ignore[union-attr]
    made = workshop.make(name, CHECKED, path=path)
    assert made.status == 0, made.output
    return made


def test_nothing_at_load_asks_which_compiler_it_was(
    shared_guest: Guest, workshop: Workshop, finding: Note, bring: Bring
) -> None:
    own, made = workshop.make(workshop.kernel.name, CHECKED), _by_the_other(workshop)
    look = "readelf -p .modinfo -p .comment smallest.ko | grep -E 'vermagic|GCC'"
    texts = [workshop.read_ko(one.ko, "readelf -p .modinfo -p .comment") for one in (own, made)]
    found = ["\n".join(line for line in text.splitlines() if re.search("vermagic|GCC", line)) for text in texts]
    vermagic = vermagic_of(own.ko)
    is_same = vermagic_of(made.ko) == vermagic
    finding("compiler.vermagic", command=look, output="\n\n".join(found), vermagic=vermagic, same_vermagic=is_same)
    assert is_same
    assert not re.search("gcc|clang", vermagic, re.IGNORECASE)
    # .comment names the compiler, and the kernel does not load that section.
    assert f" {workshop.kernel.version}" in found[0]
    assert f" {workshop.kernel.version}" not in found[1]
    said = by_root(shared_guest, f"insmod {bring(made.ko)} && sudo rmmod smallest && echo it loads")
    finding(
        "compiler.loads",
        command=f"{made.command}\n{said.command}",
        output=f"{made.output}{said.output}",
        compiler=_other(workshop),
        loads=said.status == 0,
        dropped=" ".join(workshop.unknown_options),
    )
    assert said.output == "it loads\n"


def test_a_variable_that_nobody_set_is_zero_as_far_as_the_compiler_keeps_that(
    shared_guest: Guest, workshop: Workshop, finding: Note, bring: Bring
) -> None:
    # The kernel's configuration promises it for the kernel; a module's own compiler must provide it for the module.
    is_promised = workshop.has_option("CONFIG_INIT_STACK_ALL_ZERO")
    kept = {}
    for who, made in (("own", workshop.make(workshop.kernel.name, CHECKED)), ("other", _by_the_other(workshop))):
        said = with_log(shared_guest, f"insmod {bring(made.ko)}", about="smallest: loaded")
        shared_guest.as_root("rmmod smallest")
        kept[who] = said.log == ("smallest: loaded; a variable that nobody set is zero",)
        finding(f"compiler.stack-{who}", **said.shown, is_promised=is_promised, zero=kept[who])
        assert re.search("nobody set is (?:not )?zero$", said.output.strip()), said.output
    knows = "-ftrivial-auto-var-init" not in workshop.unknown_options
    assert kept == {"own": is_promised, "other": is_promised and knows}


def test_functions_are_aligned_as_far_as_the_compiler_can(workshop: Workshop, finding: Note) -> None:
    own, made = workshop.make(workshop.kernel.name, CHECKED), _by_the_other(workshop)
    aligned = {}
    for who, one in (("own", own), ("other", made)):
        output = workshop.read_ko(one.ko, "readelf -SW")
        line = next(line for line in output.splitlines() if " .init.text" in line)
        aligned[who] = int(line.split()[-1])
        command = "readelf -SW smallest.ko | grep ' .init.text'"
        finding(f"compiler.alignment-{who}", command=command, output=line, bytes=aligned[who])
    # Call thunks and tracing rely on it where the kernel has CONFIG_FUNCTION_ALIGNMENT (since v6.2).
    if "-fmin-function-alignment" in workshop.unknown_options:
        assert aligned["own"] > aligned["other"] == 1
    else:
        assert aligned["own"] == aligned["other"]
