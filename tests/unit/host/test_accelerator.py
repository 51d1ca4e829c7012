# SPDX-License-Identifier: MIT
"""KVM counts only if it ran the kernel within a time limit, and the verdict has a reason.

A small shell script replaces QEMU.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from unit.host.fake_qemu import BANNER, Host
from vmlab.catalogue.target import Architecture
from vmlab.errors import HostError
from vmlab.host import accelerator
from vmlab.host.accelerator import Accelerator, Verdict, qemu_version
from vmlab.settings import AcceleratorChoice
from vmlab.system.process import Finished


def test_kvm_is_proved_by_the_kernels_first_line(host: Host) -> None:
    verdict = host.choose()
    assert verdict.accelerator is Accelerator.KVM
    assert "the kernel's first line came after" in verdict.reason


def test_the_proof_ends_as_soon_as_the_line_is_there(host: Host) -> None:
    started = time.monotonic()
    host.choose(timeout_s=60)
    assert time.monotonic() - started < 5


def test_silence_means_tcg_within_the_time_limit(host: Host) -> None:
    host.script = f"echo $$ >{host.directory}/pid; exec sleep 1000"
    started = time.monotonic()
    verdict = host.choose(timeout_s=0.5)
    assert time.monotonic() - started < 5
    assert verdict.accelerator is Accelerator.TCG
    assert verdict.reason.startswith("KVM was tried with -cpu host: the kernel printed nothing in")
    assert not Path("/proc", (host.directory / "pid").read_text().strip()).exists()


def test_silence_is_not_remembered_for_who_has_more_patience(host: Host) -> None:
    host.script = f'sleep 1; echo "{BANNER}" >"$1"; exec sleep 1000'
    assert host.choose(timeout_s=0.3).accelerator is Accelerator.TCG
    assert host.choose(timeout_s=20).accelerator is Accelerator.KVM


def test_firmware_that_speaks_is_no_kernel(host: Host) -> None:
    host.script = 'echo "SeaBIOS (version 1.16.2)" >"$1"; exec sleep 1000'
    assert host.choose(timeout_s=0.5).accelerator is Accelerator.TCG


def test_an_abort_means_tcg_with_qemus_words_at_once(host: Host) -> None:
    host.script = "echo 'qemu: error: failed to set MSR 0xe1' >&2; exit 134"
    started = time.monotonic()
    verdict = host.choose(timeout_s=60)
    assert time.monotonic() - started < 5
    assert verdict.accelerator is Accelerator.TCG
    assert verdict.reason == (
        "KVM was tried with -cpu host: QEMU ended with status 134: qemu: error: failed to set MSR 0xe1"
    )


def test_an_abort_without_words_says_so(host: Host) -> None:
    host.script = "exit 1"
    assert "QEMU ended with status 1: no message" in host.choose().reason


@pytest.mark.parametrize("script", [BANNER, "echo 'failed to set MSR' >&2; exit 1"])
def test_the_verdict_is_remembered(host: Host, script: str) -> None:
    host.script = script
    first = host.choose()
    assert host.choose() == first
    assert host.runs == 1


@pytest.mark.parametrize(("version", "flag"), [("8.0.0", "-smp 2"), ("7.2.22", "-smp 4")])
def test_another_qemu_or_other_flags_are_tried_anew(host: Host, version: str, flag: str) -> None:
    host.choose()
    host.choose(version=version, flag=flag)
    assert host.runs == 2


def test_a_host_that_booted_again_is_tried_anew(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.choose()
    monkeypatch.setattr(Path, "read_text", _with_another_boot(Path.read_text))
    host.choose()
    monkeypatch.undo()
    assert host.runs == 2


def _with_another_boot(read_text: Callable[..., str]) -> Callable[..., str]:
    def read(path: Path, encoding: str | None = None, errors: str | None = None) -> str:
        return "another-boot\n" if path.name == "boot_id" else read_text(path, encoding=encoding, errors=errors)

    return read


def test_kvm_demanded_and_refused_is_one_line(host: Host) -> None:
    host.script = "echo 'failed to set MSR' >&2; exit 1"
    with pytest.raises(HostError, match=r"KVM was requested but does not work: .*failed to set MSR") as caught:
        host.choose(AcceleratorChoice.KVM)
    assert "\n" not in str(caught.value)


def test_kvm_demanded_and_proved_is_kvm(host: Host) -> None:
    assert host.choose(AcceleratorChoice.KVM).accelerator is Accelerator.KVM


def test_tcg_asks_nothing(host: Host) -> None:
    verdict = host.choose(AcceleratorChoice.TCG)
    assert verdict == Verdict(accelerator=Accelerator.TCG, reason="asked for")
    assert host.runs == 0


def test_a_device_that_is_not_there_means_tcg_without_a_try(host: Host) -> None:
    verdict = host.choose(device=host.directory / "none")
    assert verdict.accelerator is Accelerator.TCG
    assert verdict.reason == f"{host.directory}/none does not exist"
    assert host.runs == 0


def _refuse_to_open(device: Path, refusal: OSError, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make opening the device fail with `refusal`: for root, file modes deny nothing."""
    opened = os.open

    def open_or_refuse(path: Path, *arguments: int, **options: int) -> int:
        if path == device:
            raise refusal
        return opened(path, *arguments, **options)

    monkeypatch.setattr(os, "open", open_or_refuse)


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "no permission to open"),
        (PermissionError(errno.EPERM, "Operation not permitted"), "no permission to open"),
        (OSError(errno.ENODEV, "No such device"), "cannot be opened: No such device"),
    ],
)
def test_a_device_that_is_lost_after_the_proof_means_tcg_or_an_error(
    host: Host, monkeypatch: pytest.MonkeyPatch, refusal: OSError, why: str
) -> None:
    assert host.choose().accelerator is Accelerator.KVM
    _refuse_to_open(host.directory / "kvm", refusal, monkeypatch)

    verdict = host.choose()

    assert (verdict.accelerator, verdict.is_fallback) == (Accelerator.TCG, True)
    assert why in verdict.reason
    with pytest.raises(HostError, match=f"^KVM was requested but does not work: .*{why}") as caught:
        host.choose(AcceleratorChoice.KVM)
    assert "\n" not in str(caught.value)


def test_a_device_that_is_removed_after_the_proof_means_tcg(host: Host) -> None:
    assert host.choose().accelerator is Accelerator.KVM
    (host.directory / "kvm").unlink()
    assert host.choose().reason == f"{host.directory}/kvm does not exist"


def test_a_device_that_may_not_be_opened_says_how_to_get_it(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse_to_open(host.directory / "kvm", PermissionError(errno.EACCES, "Permission denied"), monkeypatch)
    verdict = host.choose()
    assert verdict.accelerator is Accelerator.TCG
    assert "no permission to open" in verdict.reason
    assert "usermod -aG kvm" in verdict.reason
    assert host.runs == 0


@pytest.mark.parametrize(
    ("machine", "architecture", "is_tried"),
    [
        ("x86_64", Architecture.AMD64, True),
        ("x86_64", Architecture.ARM64, False),
        ("aarch64", Architecture.ARM64, True),
        ("aarch64", Architecture.AMD64, False),
        ("riscv64", Architecture.AMD64, False),
    ],
)
def test_kvm_runs_the_hosts_own_architecture_alone(
    host: Host, monkeypatch: pytest.MonkeyPatch, machine: str, architecture: Architecture, is_tried: bool
) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    verdict = host.choose(architecture=architecture)
    assert verdict.accelerator is (Accelerator.KVM if is_tried else Accelerator.TCG)
    assert host.runs == is_tried
    if not is_tried:
        assert verdict.reason == f"KVM runs only this host's architecture, {machine}, and the guest is {architecture}"


def test_kvm_demanded_for_another_architecture_is_refused(host: Host) -> None:
    with pytest.raises(HostError, match=r"KVM was requested but does not work: .* and the guest is arm64"):
        host.choose(AcceleratorChoice.KVM, architecture=Architecture.ARM64)


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (
            "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright\n",
            "7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)",
        ),
        ("QEMU emulator version 9.1.0\nCopyright\n", "9.1.0"),
    ],
)
def test_qemus_version_is_its_own_word(monkeypatch: pytest.MonkeyPatch, said: str, version: str) -> None:
    monkeypatch.setattr(accelerator, "run", lambda argv, **_: Finished(argv=tuple(argv), status=0, output=said))
    monkeypatch.setattr(accelerator, "find_program", lambda name: name)
    qemu_version.cache_clear()
    assert qemu_version(Architecture.AMD64) == version
    qemu_version.cache_clear()


@pytest.mark.parametrize(
    ("architecture", "program", "command"),
    [
        (Architecture.AMD64, "qemu-system-x86_64", "vmlab setup"),
        (Architecture.ARM64, "qemu-system-aarch64", "vmlab setup --vmlab-target '*-arm64'"),
    ],
)
def test_a_host_without_qemu_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, architecture: Architecture, program: str, command: str
) -> None:
    monkeypatch.setattr(accelerator, "find_program", lambda _: None)
    qemu_version.cache_clear()
    with pytest.raises(HostError, match=f"{program} is not installed") as caught:
        qemu_version(architecture)
    assert caught.value.hint == command
    assert "\n" not in str(caught.value)
