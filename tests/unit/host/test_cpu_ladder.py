# SPDX-License-Identifier: MIT
"""Under KVM each CPU model is proved before use, and each step down the ladder has a reason."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from unit.host.fake_qemu import ABORT, ABORT_TOLD, BANNER, LADDER, SILENCE, Host
from vmlab.errors import HostError
from vmlab.host import accelerator
from vmlab.host.accelerator import Accelerator, cpu_ladder
from vmlab.host.processor import Processor
from vmlab.settings import AcceleratorChoice

_SILENCE_TOLD = "the kernel printed nothing in 1 s"


def test_a_host_that_runs_its_own_model_steps_nowhere(host: Host) -> None:
    host.does(host=BANNER)
    verdict = host.choose(ladder=LADDER)
    assert (verdict.accelerator, verdict.cpu_model, verdict.steps) == (Accelerator.KVM, "host", ())
    assert verdict.reason.startswith("proved with -cpu host: the kernel's first line came after")
    assert host.models == ["host"]


def test_a_register_of_the_pmu_that_is_refused_costs_the_pmu_alone(host: Host) -> None:
    host.does(host=ABORT, off=BANNER)
    verdict = host.choose(ladder=LADDER)
    assert (verdict.accelerator, verdict.cpu_model) == (Accelerator.KVM, "host,pmu=off")
    assert verdict.steps == (f"-cpu host: {ABORT_TOLD}",)
    assert verdict.reason.startswith("proved with -cpu host,pmu=off: ")
    assert verdict.reason.endswith(f"; before that, with -cpu host: {ABORT_TOLD}")


def test_another_register_that_is_refused_leads_to_the_named_model(host: Host) -> None:
    host.does(host=ABORT, off=ABORT, Nehalem=BANNER)
    verdict = host.choose(ladder=LADDER)
    assert (verdict.accelerator, verdict.cpu_model) == (Accelerator.KVM, "Nehalem")
    assert verdict.steps == (f"-cpu host: {ABORT_TOLD}", f"-cpu host,pmu=off: {ABORT_TOLD}")
    assert verdict.reason.endswith(f"; before that, with -cpu host and host,pmu=off: {ABORT_TOLD}")


def test_a_host_that_aborts_with_every_model_is_emulated_at_once(host: Host) -> None:
    host.does(host=ABORT, off=ABORT, Nehalem=ABORT)
    started = time.monotonic()
    verdict = host.choose(ladder=LADDER, timeout_s=60)
    assert time.monotonic() - started < 5
    assert (verdict.accelerator, verdict.cpu_model) == (Accelerator.TCG, "")
    assert verdict.reason == f"KVM was tried with -cpu host and host,pmu=off and Nehalem: {ABORT_TOLD}"
    assert len(verdict.steps) == 3


def test_silence_leaves_out_the_same_model_without_its_pmu(host: Host) -> None:
    host.does(host=SILENCE, off=BANNER, Nehalem=BANNER)
    verdict = host.choose(ladder=LADDER, timeout_s=1)
    assert (verdict.accelerator, verdict.cpu_model) == (Accelerator.KVM, "Nehalem")
    assert host.models == ["host", "Nehalem"]
    assert verdict.steps == (
        f"-cpu host: {_SILENCE_TOLD}",
        "-cpu host,pmu=off: not tried: it is host with other options, and host timed out",
    )
    assert verdict.reason.endswith(f"; before that, with -cpu host: {_SILENCE_TOLD}")


def test_a_host_that_is_always_silent_costs_two_waits_and_not_three(host: Host) -> None:
    host.does(host=SILENCE, off=SILENCE, Nehalem=SILENCE)
    started = time.monotonic()
    verdict = host.choose(ladder=LADDER, timeout_s=1)
    assert 2 <= time.monotonic() - started < 3
    assert verdict.accelerator is Accelerator.TCG
    assert verdict.reason == f"KVM was tried with -cpu host and Nehalem: {_SILENCE_TOLD}"


def test_an_abort_and_then_silence_are_both_told(host: Host) -> None:
    host.does(host=ABORT, off=ABORT, Nehalem=SILENCE)
    verdict = host.choose(ladder=LADDER, timeout_s=1)
    assert verdict.accelerator is Accelerator.TCG
    assert verdict.reason == (
        f"KVM was tried with -cpu host and host,pmu=off: {ABORT_TOLD}; with -cpu Nehalem: {_SILENCE_TOLD}"
    )


def test_kvm_demanded_with_a_lesser_model_is_kvm(host: Host) -> None:
    host.does(host=ABORT, off=ABORT, Nehalem=BANNER)
    assert host.choose(AcceleratorChoice.KVM, ladder=LADDER).cpu_model == "Nehalem"


def test_kvm_demanded_and_refused_tells_every_model(host: Host) -> None:
    host.does(host=ABORT, off=ABORT, Nehalem=ABORT)
    with pytest.raises(HostError, match=r"host and host,pmu=off and Nehalem: .*failed to set MSR 0x38d"):
        host.choose(AcceleratorChoice.KVM, ladder=LADDER)


def test_model_and_steps_are_remembered(host: Host) -> None:
    host.does(host=ABORT, off=BANNER)
    first = host.choose(ladder=LADDER)
    assert host.choose(ladder=LADDER) == first
    assert host.models == ["host", "host,pmu=off"]


def test_another_ladder_is_climbed_anew(host: Host) -> None:
    host.choose(ladder=LADDER)
    host.choose(ladder=("host", "EPYC"))
    assert host.models == ["host", "host"]


def test_kvm_loaded_anew_with_another_setting_is_tried_anew(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.choose(ladder=LADDER)
    monkeypatch.setattr(accelerator, "kvm_parameters", lambda: {"kvm.enable_pmu": "N", "kvm.something": "1"})
    host.choose(ladder=LADDER)
    assert host.models == ["host", "host"]


@pytest.mark.parametrize("note", ['{"accelerator": "kvm", "reason": "proved"', '{"verdict": "kvm"}', "[]", "null"])
def test_a_note_of_another_form_is_no_verdict(host: Host, note: str) -> None:
    host.does(host=ABORT, off=BANNER)
    first = host.choose(ladder=LADDER)
    (path,) = Path(host.directory, "store", "notes").glob("kvm-ladder-*.json")
    path.write_text(note)
    again = host.choose(ladder=LADDER)
    assert (again.cpu_model, again.steps) == (first.cpu_model, first.steps)
    assert len(host.models) == 4


def test_qemus_warnings_are_not_why_it_ended(host: Host) -> None:
    host.script = "echo 'qemu: warning: host lacks pni' >&2; exit 1"
    assert host.choose().reason.endswith("status 1: qemu: warning: host lacks pni"), "all that was said"
    host.script = "echo 'qemu: warning: host lacks pni' >&2; echo 'qemu: no such CPU' >&2; exit 1"
    assert host.choose(version="8").reason.endswith("status 1: qemu: no such CPU")


@pytest.mark.parametrize(
    ("vendor", "named"),
    [("GenuineIntel", "Nehalem"), ("AuthenticAMD", "EPYC"), ("HygonGenuine", "EPYC"), ("CentaurHauls", "Nehalem")],
)
def test_the_named_model_is_of_the_hosts_vendor(vendor: str, named: str) -> None:
    processor = Processor(architecture="x86_64", vendor=vendor, model="a processor")
    assert cpu_ladder(processor) == ("host", "host,pmu=off", named)


def test_arm64_has_no_named_model_under_kvm() -> None:
    assert cpu_ladder(Processor(architecture="aarch64", vendor="Arm", model="Arm part 0xd0c")) == (
        "host",
        "host,pmu=off",
    )
