# SPDX-License-Identifier: MIT
"""The lab's guarantees about KVM. Most tests need real KVM and are skipped elsewhere, with the verdict's reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmlab.catalogue.target import Target
from vmlab.host.accelerator import Accelerator, Verdict, cpu_ladder
from vmlab.host.processor import processor_of, read_processor
from vmlab.lab.lab import Lab
from vmlab.machine.argv import machine_spec
from vmlab.machine.machine import Machine
from vmlab.system.wait import wait_until

_NAMED = {"EPYC": "AMD EPYC Processor", "Nehalem": "Intel Core i7 9xx (Nehalem Class Core i7)"}
"""QEMU's CPU models to their names in the guest's /proc/cpuinfo."""


@pytest.fixture
def kvm(vmlab_lab: Lab, target: Target) -> Verdict:
    """The verdict where KVM is proved; otherwise the test is skipped with the verdict's reason."""
    verdict = vmlab_lab.testbed(target).rig.host_verdict
    if verdict.accelerator is not Accelerator.KVM:
        pytest.skip(f"only real KVM shows this, and here it is {verdict.accelerator}: {verdict.reason}")
    return verdict


def _processor_on_console(lab: Lab, target: Target, accelerator: Accelerator, model: str, console: Path) -> str:
    """The kernel's name for its first processor while it boots with a CPU model."""
    image = lab.testbed(target).image
    spec = machine_spec(image, accelerator, cpus=1, memory_mib=512, cpu_model=model)
    with Machine(image, spec, console=console) as machine:

        def named() -> str | None:
            machine.require_alive()
            found = re.search(r"smpboot: CPU0: (.*) \(family:", machine.console.text())
            return found[1] if found else None

        return wait_until(
            named,
            timeout_s=lab.testbed(target).limits.boot_s,
            describe="the kernel to name its processor",
            evidence=machine.console.tail,
        )


@pytest.mark.parametrize("model", list(_NAMED))
def test_a_named_model_is_what_the_kernel_finds(model: str, vmlab_lab: Lab, target: Target, tmp_path: Path) -> None:
    """Runs under emulation too, so every host shows that the model name reaches the guest."""
    found = _processor_on_console(vmlab_lab, target, Accelerator.TCG, model, tmp_path / "console")
    assert found == _NAMED[model]


def test_a_guest_has_the_processor_that_was_proved(kvm: Verdict, vmlab_lab: Lab, target: Target) -> None:
    with vmlab_lab.testbed(target).boot() as running:
        guest = processor_of(running.guest.read("/proc/cpuinfo"), read_processor().architecture)
    host = read_processor()
    assert guest.vendor == host.vendor
    if kvm.cpu_model in _NAMED:
        assert guest.model == _NAMED[kvm.cpu_model]
    else:
        assert (guest.model, guest.family) == (host.model, host.family)
    assert vmlab_lab.testbed(target).rig.provenance.cpu_model.startswith(kvm.cpu_model)


def test_every_step_of_the_ladder_below_the_proved_one_runs_as_well(
    kvm: Verdict, vmlab_lab: Lab, target: Target, tmp_path: Path
) -> None:
    """A host that runs the richest model also runs the simpler ones, on which weaker hosts fall back."""
    ladder = cpu_ladder(read_processor())
    below = ladder[ladder.index(kvm.cpu_model) + 1 :]
    if not below:
        pytest.skip(f"{kvm.cpu_model} is the last step of this host's ladder: {'; '.join(kvm.steps)}")
    for number, model in enumerate(below):
        found = _processor_on_console(vmlab_lab, target, Accelerator.KVM, model, tmp_path / f"console-{number}")
        assert found == _NAMED.get(model, read_processor().model)
