# SPDX-License-Identifier: MIT
"""The meaning of dkms.conf's directives for a build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from unit.module.tree.trees import tree_of
from vmlab.errors import UsageError
from vmlab.module.tree.description import Restriction
from vmlab.module.tree.dkms import DkmsFacts, dkms_facts, refusal
from vmlab.module.tree.dkms_conf import dkms_variables, read_dkms_conf
from vmlab.module.tree.kbuild import KernelFacts

_RELEASE = "6.1.0-56-cloud-amd64"
_KERNEL = KernelFacts(release=_RELEASE, machine="x86_64", config={"CONFIG_HID": "m", "CONFIG_PREEMPT_RT": "y"})


def _matches(pattern: str, text: str) -> bool:
    return re.search(pattern, text) is not None


def _facts(directory: Path, text: str) -> DkmsFacts:
    files = {"src/Makefile": "all:\n\tmake -C $(KDIR) M=$(PWD) CONFIG_A=m\n", "dkms.conf": text}
    tree = tree_of(directory, files)
    found = read_dkms_conf(text, "dkms.conf", dkms_variables(_RELEASE, "x86_64"))
    return dkms_facts(tree, ".", found, release=_RELEASE, matches=_matches)


@pytest.mark.parametrize(
    ("make", "directory", "variables"),
    [
        ("make -C $kernel_source_dir M=$dkms_tree/fib/1/build/src X=1", "src", {"X": "1"}),
        ("make -C $kernel_source_dir M=\\$(pwd)/src", "src", {}),
        ("'make' -C src KDIR=$kernel_source_dir", "src", {"CONFIG_A": "m"}),
        ("cd src; make KVER=$kernelver", "src", {"CONFIG_A": "m"}),
    ],
)
def test_make_names_the_directory_and_the_variables(
    tmp_path: Path, make: str, directory: str, variables: dict[str, str]
) -> None:
    facts = _facts(tmp_path, f'PACKAGE_NAME=fib\nMAKE="{make}"\n')

    (call,) = facts.wrapper.calls
    assert (call.directory, dict(call.variables)) == (directory, variables)


def test_commands_before_make_and_pre_build_are_steps(tmp_path: Path) -> None:
    facts = _facts(tmp_path, 'PRE_BUILD="scripts/pre one"\nMAKE="./configure --x && make -C src && true"\n')

    assert [step.value for step in facts.prepare] == ["./scripts/pre one", "./configure --x"]


def test_the_last_make_that_matches_the_kernel_is_taken(tmp_path: Path) -> None:
    rows = ["make M=a", "make M=b", "make M=c"]
    text = "\n".join(f'MAKE[{n}]="{row}"' for n, row in enumerate(rows)) + "\nMAKE_MATCH[1]='^6'\nMAKE_MATCH[2]='^5'\n"

    assert [call.directory for call in _facts(tmp_path, text).wrapper.calls] == ["b"]


def test_modules_have_the_names_and_places_of_the_package(tmp_path: Path) -> None:
    text = (
        "PACKAGE_NAME=fib\nBUILT_MODULE_NAME[0]=one\nBUILT_MODULE_LOCATION[0]=src/\n"
        "BUILT_MODULE_NAME[1]=two\nDEST_MODULE_NAME[1]=other\n"
    )

    assert [(m.name, m.location) for m in _facts(tmp_path, text).modules] == [("one", "src"), ("two", ".")]


def test_a_package_without_a_modules_name_makes_one_of_its_own(tmp_path: Path) -> None:
    assert [module.name for module in _facts(tmp_path, "PACKAGE_NAME=fib\n").modules] == ["fib"]


def test_patches_keep_their_conditions(tmp_path: Path) -> None:
    facts = _facts(tmp_path, "PATCH[0]=a.patch\nPATCH[1]=b.patch\nPATCH_MATCH[1]='^5\\.'\n")

    assert [(patch.name, patch.match) for patch in facts.patches] == [
        ("patches/a.patch", ""),
        ("patches/b.patch", r"^5\."),
    ]


@pytest.mark.parametrize("line", ["PATCH=../x.patch", "BUILT_MODULE_NAME=a BUILT_MODULE_LOCATION=../../etc"])
def test_a_path_that_leads_out_of_the_tree_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match="leads out of the module's tree"):
        _facts(tmp_path, f"{line}\n")


def test_scripts_of_an_installation_and_other_packages_are_noted(tmp_path: Path) -> None:
    facts = _facts(
        tmp_path,
        "POST_INSTALL=x\nBUILD_DEPENDS[0]=other\nMAKE='make M=. V=#MODULE_VERSION# W=@W@ A=#MODULE_VERSION#'\n",
    )

    assert [note.split(": ")[0] for note in facts.notes] == ["dkms.conf:1", "dkms.conf:2"]
    assert facts.wrapper.dropped == ["dkms.conf:3: A=#MODULE_VERSION#"]


@pytest.mark.parametrize(
    ("directive", "value", "is_excluded"),
    [
        ("KERNEL", r"^6\.", False),
        ("KERNEL", "REQUIRES", True),
        ("KERNEL_MIN", "5.12.0", False),
        ("KERNEL_MIN", "6.1.0-56", False),
        ("KERNEL_MIN", "6.2", True),
        ("KERNEL_MAX", "6.10", False),
        ("KERNEL_MAX", "6.1", True),
        ("ARCH", "x86_64|aarch64", False),
        ("ARCH", "^arm", True),
        ("CONFIG", "CONFIG_HID !CONFIG_NONE", False),
        ("CONFIG", "CONFIG_HID !CONFIG_PREEMPT_RT", True),
        ("CONFIG", "CONFIG_NONE", True),
    ],
)
def test_a_restriction_excludes_kernels_as_dkms_does(directive: str, value: str, is_excluded: bool) -> None:
    restriction = Restriction(directive=directive, value=value, origin="dkms.conf:1")

    assert bool(refusal(restriction, _KERNEL, _matches)) is is_excluded
