# SPDX-License-Identifier: MIT
"""The steps of a build before Kbuild, and the packages that exclude a kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.module.tree.trees import source_of
from vmlab.errors import BuildError
from vmlab.module.build_root import Outcome
from vmlab.module.source import Source
from vmlab.module.steps import prepare, require_allowed, why_empty
from vmlab.module.tree.description import Description, Fact, Module, Patch, Restriction
from vmlab.module.tree.kbuild import KernelFacts
from vmlab.settings import BuildPlace

_KERNEL = KernelFacts(release="6.1.0-56", machine="x86_64", config={"CONFIG_X": "y", "CONFIG_RUST": "y"})


class FakePlace:
    """Answers commands by the first of its words that they contain."""

    name = BuildPlace.HOST

    def __init__(self, **answers: Outcome) -> None:
        self.answers = answers
        self.commands: list[str] = []

    def put_tree(self, source: Source, name: str) -> None:
        raise AssertionError

    def run(self, command: str, *, timeout_s: float) -> Outcome:
        self.commands.append(command)
        found = [outcome for word, outcome in self.answers.items() if word in command]
        return found[0] if found else Outcome(status=0, output="")

    def get(self, name: str, local: Path) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return source_of(tmp_path / "fib", {"Kbuild": "obj-$(CONFIG_X) := fib.o\n", "patches/a.patch": "", "rusty.rs": ""})


def _description(**facts: object) -> Description:
    return Description(tree=Fact("fib", "directory"), sources=(Fact(".", "Kbuild"),), **facts)  # type: ignore[arg-type]


def _failure(source: Source, command: str, output: str) -> BuildError:
    place = FakePlace(**{"sh": Outcome(status=3, output=output)})
    with pytest.raises(BuildError) as caught:
        prepare(_description(prepare=(Fact(command, "vmlab.toml: prepare"),)), source, _KERNEL, place, timeout_s=5)
    return caught.value


def test_steps_run_in_the_tree_with_the_variables_of_dkms(source: Source) -> None:
    place = FakePlace()

    prepare(_description(prepare=(Fact("./configure", ""),)), source, _KERNEL, place, timeout_s=5)

    (command,) = place.commands
    assert "kernelver=6.1.0-56 kernel_source_dir=/lib/modules/6.1.0-56/build arch=x86_64" in command
    assert command.endswith("sh -c 'cd fib && ./configure'")


def test_a_failed_step_names_its_command_status_and_last_words(source: Source) -> None:
    failure = _failure(source, "./configure", "checking\nconfigure: no libfoo\n")

    assert failure.message == "fib cannot be prepared: './configure' ended with status 3: configure: no libfoo"
    assert "vmlab.toml: prepare" in failure.hint


def test_a_download_names_the_file_and_the_key_that_takes_one(source: Source) -> None:
    output = "curl: (6) Could not resolve host: example.org\n"

    failure = _failure(source, "curl -O https://example.org/fw/blob.bin", output)

    assert failure.hint.startswith("builds have no network: download 'blob.bin'")
    assert "files = { 'blob.bin' = 'PATH' }" in failure.hint


def test_a_missing_program_names_the_key_of_packages(source: Source) -> None:
    assert "packages = ['xxd']" in _failure(source, "xxd -i a", "sh: 1: xxd: not found\n").hint


def test_a_patch_for_other_kernels_is_left_out(source: Source) -> None:
    patches = (Patch(name="patches/a.patch", match="^5", origin="dkms.conf:1"),)
    place = FakePlace(grep=Outcome(status=1, output=""))

    prepare(_description(patches=patches), source, _KERNEL, place, timeout_s=5)

    assert not any("patch -p1" in command for command in place.commands)


def test_a_patch_that_the_tree_lacks_is_named(source: Source) -> None:
    patches = (Patch(name="patches/b.patch", match="", origin="dkms.conf:1"),)

    with pytest.raises(BuildError, match=r"dkms\.conf:1: 'patches/b\.patch' is missing"):
        prepare(_description(patches=patches), source, _KERNEL, FakePlace(), timeout_s=5)


def test_a_kernel_that_the_package_excludes_is_refused_with_the_line(source: Source) -> None:
    restrictions = (Restriction(directive="KERNEL_MIN", value="6.2", origin="dkms.conf:9"),)

    with pytest.raises(BuildError) as caught:
        require_allowed(_description(restrictions=restrictions), source, _KERNEL, FakePlace(), timeout_s=5)

    words = "fib is not for 6.1.0-56: dkms.conf:9: BUILD_EXCLUSIVE_KERNEL_MIN: the release must be 6.2 or later"
    assert caught.value.message == words


@pytest.mark.parametrize(
    ("config", "place", "missing"),
    [
        ({}, FakePlace(), "this kernel is built without CONFIG_RUST"),
        ({"CONFIG_RUST": "y"}, FakePlace(rustc=Outcome(status=1, output="")), "rustc is missing"),
        (
            {"CONFIG_RUST": "y"},
            FakePlace(rmeta=Outcome(status=2, output="")),
            "the kernel's headers lack rust/libkernel.rmeta",
        ),
    ],
)
def test_rust_says_what_is_missing(source: Source, config: dict[str, str], place: FakePlace, missing: str) -> None:
    modules = (Module(name="rusty", location=".", origin="Kbuild:1", sources=("rusty.rs",)),)
    kernel = KernelFacts(release="6.1.0-56", machine="x86_64", config=config)

    with pytest.raises(BuildError, match=r"rusty\.rs is written in Rust, and") as caught:
        require_allowed(_description(modules=modules), source, kernel, place, timeout_s=5)

    assert missing in caught.value.message


def test_an_option_that_is_not_a_module_explains_an_empty_build(source: Source) -> None:
    why, hint = why_empty(source, _description(), _KERNEL)

    assert why == "Kbuild:1: obj-$(CONFIG_X) is empty: the option is y in this kernel"
    assert "make = { CONFIG_X = 'm' }" in hint
