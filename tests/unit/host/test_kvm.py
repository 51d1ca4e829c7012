# SPDX-License-Identifier: MIT
"""KVM's module parameters are read, wherever a kernel release keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmlab.host.kvm import Kvm, read_kvm, reload_with


def _load(root: Path, parameters: dict[str, str], *, is_built_in: bool = False) -> Kvm:
    for name, value in parameters.items():
        module, _, parameter = name.partition(".")
        place = root / module / "parameters"
        place.mkdir(parents=True, exist_ok=True)
        (place / parameter).write_text(f"{value}\n")
        if not is_built_in:
            (root / module / "initstate").write_text("live\n")
    return read_kvm(root)


def test_a_host_without_kvm_has_no_module_and_no_word_on_the_pmu(tmp_path: Path) -> None:
    kvm = read_kvm(tmp_path)
    assert kvm == Kvm()
    assert (kvm.enable_pmu, kvm.mediated_pmu, kvm.backend) == (None, None, "")
    assert read_kvm(tmp_path / "missing") == Kvm()


@pytest.mark.parametrize(("value", "is_on"), [("Y", True), ("1", True), ("N", False), ("0", False)])
@pytest.mark.parametrize("name", ["kvm.enable_pmu", "kvm.pmu", "kvm_amd.pmu"])
def test_the_pmu_switch_is_found_under_each_of_its_names(tmp_path: Path, name: str, value: str, is_on: bool) -> None:
    assert _load(tmp_path, {name: value}).enable_pmu is is_on


@pytest.mark.parametrize("module", ["kvm_intel", "kvm_amd"])
def test_the_mediated_pmu_is_the_vendor_modules(tmp_path: Path, module: str) -> None:
    kvm = _load(tmp_path, {"kvm.enable_pmu": "Y", f"{module}.enable_mediated_pmu": "N", f"{module}.nested": "1"})
    assert (kvm.enable_pmu, kvm.mediated_pmu, kvm.backend, kvm.is_built_in) == (True, False, module, False)


def test_a_kvm_of_another_kind_is_named(tmp_path: Path) -> None:
    kvm = _load(tmp_path, {"kvm.enable_pmu": "N", "kvm_pvm.force": "N"}, is_built_in=True)
    assert (kvm.backend, kvm.is_built_in) == ("kvm_pvm", True)
    assert dict(kvm.parameters) == {"kvm.enable_pmu": "N"}


def test_what_is_loaded_is_loaded_anew_and_what_is_built_in_is_told_at_boot(tmp_path: Path) -> None:
    loaded = _load(tmp_path / "loaded", {"kvm.enable_pmu": "N", "kvm_intel.enable_mediated_pmu": "N"})
    assert reload_with(loaded, "GenuineIntel", "kvm.enable_pmu=1") == (
        "sudo modprobe -r kvm_intel kvm && sudo modprobe kvm enable_pmu=1 && sudo modprobe kvm_intel"
    )
    assert reload_with(loaded, "GenuineIntel", "kvm_intel.enable_mediated_pmu=1") == (
        "sudo modprobe -r kvm_intel && sudo modprobe kvm_intel enable_mediated_pmu=1"
    )
    built_in = _load(tmp_path / "built-in", {"kvm.enable_pmu": "N"}, is_built_in=True)
    assert reload_with(built_in, "AuthenticAMD", "kvm.enable_pmu=1") == "boot the host's kernel with kvm.enable_pmu=1"
