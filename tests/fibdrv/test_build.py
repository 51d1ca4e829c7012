# SPDX-License-Identifier: MIT
"""The built module matches the kernel it is built for."""

from __future__ import annotations

import pytest

from vmlab.guest.guest import Guest
from vmlab.module.build import Built
from vmlab.module.compiler import Match


def test_it_builds_without_a_warning(module: Built) -> None:
    assert module.warnings == ()


def test_compiler_is_the_version_that_built_the_kernel(module: Built) -> None:
    assert module.match is not Match.OTHER_VERSION
    assert module.compiler.version == module.kernel_compiler.version
    assert all(module.compiler.version in compiler.split() for compiler in module.info.compilers)


def test_module_says_what_it_is(module: Built) -> None:
    assert module.info.name == "fibdrv"
    assert module.info.license == "Dual MIT/GPL"
    kept = {"keep_kib": "uint", "keep_total_kib": "uint"}
    assert module.info.parameters == {"max_n": "ulong", "format": "charp"} | kept


def test_module_is_built_for_the_guests_kernel(shared_guest: Guest, module: Built) -> None:
    assert module.info.release == shared_guest.succeed("uname -r").strip()
    # /proc/version and the kernel's configuration name the same compiler.
    assert module.kernel_compiler.version in shared_guest.succeed("cat /proc/version")


def test_modinfo_in_the_guest_agrees(shared_guest: Guest, unloaded_module: str, module: Built) -> None:
    if not shared_guest.run("test -x /sbin/modinfo").ok:
        pytest.skip("no modinfo in this guest")
    fields = ("name", "vermagic", "license", "srcversion")
    shown = shared_guest.succeed("; ".join(f"echo $(/sbin/modinfo -F {field} {unloaded_module})" for field in fields))
    name, vermagic, licence, version = shown.splitlines()
    assert (name, vermagic, licence) == (module.info.name, module.info.vermagic.strip(), module.info.license)
    shared_guest.succeed(f"sudo insmod {unloaded_module}")
    assert shared_guest.succeed("cat /sys/module/fibdrv/srcversion 2>/dev/null; true").strip() == version
