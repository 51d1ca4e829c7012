# SPDX-License-Identifier: MIT
"""Building the module: equal results in both places, and faults reported before the kernel loads it."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.errors import BuildError
from vmlab.guest.guest import Guest
from vmlab.lab.lab import Lab
from vmlab.module.build import Built, build_tree
from vmlab.module.build_root import GuestPlace, HostPlace, Place
from vmlab.module.compiler import Match
from vmlab.module.source import Source, read_source
from vmlab.settings import BuildPlace, CompilerPolicy
from vmlab.store.place import MARKER
from vmlab.store.store import Store

ZOO = Path(__file__).parents[1] / "zoo"


def _cold(lab: Lab, target: Target, source: Source, guest: Guest, name: BuildPlace, store: Path) -> Built:
    """Build in a place without using the lab's cache."""
    image = lab.testbed(target).image

    def place() -> Place:
        return HostPlace(image) if name is BuildPlace.HOST else GuestPlace(guest)

    return build_tree(
        source,
        image,
        place,
        name,
        Store(store),
        policy=CompilerPolicy.REFUSE,
        timeout_s=lab.testbed(target).limits.build_s,
    ).chosen(source)


def test_guest_and_host_build_the_same_bytes(
    vmlab_lab: Lab, target: Target, shared_guest: Guest, tmp_path: Path
) -> None:
    built = [
        _cold(vmlab_lab, target, vmlab_lab.source, shared_guest, place, tmp_path)
        for place in (BuildPlace.HOST, BuildPlace.GUEST)
    ]
    assert [one.is_cached for one in built] == [False, False]
    assert built[0].ko.read_bytes() == built[1].ko.read_bytes()


def test_the_build_uses_the_compiler_that_built_the_kernel(shared_guest: Guest, module: Built) -> None:
    assert module.match in (Match.SAME, Match.OTHER_NAME)
    assert module.compiler.version in shared_guest.read("/proc/version")
    assert not any("compiler differs" in warning for warning in module.warnings)


def test_a_module_that_does_not_compile_names_file_line_and_error(
    vmlab_lab: Lab, target: Target, shared_guest: Guest, tmp_path: Path
) -> None:
    source = read_source(ZOO / "no_compile")
    with pytest.raises(BuildError, match=r"no_compile\.c:9: .undeclared_name. undeclared") as caught:
        _cold(vmlab_lab, target, source, shared_guest, BuildPlace.HOST, tmp_path)
    assert vmlab_lab.testbed(target).image.release in caught.value.message


def test_a_module_compiled_by_another_compiler_is_refused_before_insmod(
    vmlab_lab: Lab, target: Target, shared_guest: Guest, tmp_path: Path
) -> None:
    source = read_source(ZOO / "other_compiler")
    with pytest.raises(BuildError, match=r"compiled by .*9\.1\.0.*expected the kernel's compiler"):
        _cold(vmlab_lab, target, source, shared_guest, BuildPlace.HOST, tmp_path)


def test_a_failed_build_leaves_nothing_in_the_store(
    vmlab_lab: Lab, target: Target, shared_guest: Guest, tmp_path: Path
) -> None:
    with contextlib.suppress(BuildError):
        _cold(vmlab_lab, target, read_source(ZOO / "no_compile"), shared_guest, BuildPlace.HOST, tmp_path)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock" and path.name != MARKER]
    assert kept == []
