# SPDX-License-Identifier: MIT
"""KVM or TCG, and why. KVM counts only when it ran the kernel: a device that opens proves nothing."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmlab.errors import HostError
from vmlab.foreign import native_architecture, setup_command
from vmlab.process import end, find_program, run, tied_to_parent
from vmlab.settings import AcceleratorChoice
from vmlab.store import Store, digest_of
from vmlab.target import Architecture

_PROOF_TIMEOUT_S = 12.0
"""A kernel under KVM prints its first line within a second; a nested host that emulates much may need a few."""


class Accelerator(StrEnum):
    """How QEMU runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


def qemu_program(architecture: Architecture) -> str:
    """The QEMU that has machines of an architecture."""
    return {Architecture.AMD64: "qemu-system-x86_64", Architecture.ARM64: "qemu-system-aarch64"}[architecture]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The accelerator to use and the fact that decided it."""

    accelerator: Accelerator
    reason: str


class _Silent(Exception):
    """KVM did not run the kernel; the text says what was seen instead."""


def choose_accelerator(
    choice: AcceleratorChoice,
    *,
    architecture: Architecture,
    store: Store,
    qemu_version: str,
    kvm_argv: Callable[[Path], Sequence[str]],
    device: Path = Path("/dev/kvm"),
    timeout_s: float = _PROOF_TIMEOUT_S,
) -> Verdict:
    """Decide between KVM and TCG; starts QEMU once per host boot, QEMU and flags, for at most `timeout_s`.

    `kvm_argv` gives QEMU's arguments for a console written to a path: the flags and kernel that will really
    be used. Raises `HostError` when the user demands KVM and it cannot be had.
    """
    if choice is AcceleratorChoice.TCG:
        return Verdict(accelerator=Accelerator.TCG, reason="asked for")
    refusal = _refusal(device, architecture)
    if refusal:
        verdict = Verdict(accelerator=Accelerator.TCG, reason=refusal)
    else:
        verdict = _cached_proof(store, qemu_version, kvm_argv, timeout_s)
    if choice is AcceleratorChoice.KVM and verdict.accelerator is not Accelerator.KVM:
        raise HostError(f"KVM was asked for and cannot be had: {verdict.reason}", hint="use --vmlab-accel auto or tcg")
    return verdict


@functools.cache
def qemu_version(architecture: Architecture) -> str:
    """The version of the QEMU for an architecture, as it says it; `HostError` with the way to install it when there
    is none."""
    program = qemu_program(architecture)
    if find_program(program) is None:
        raise HostError(
            f"{program} is not installed, which runs {architecture} guests", hint=setup_command(architecture)
        )
    ended = run([program, "--version"], timeout_s=30)
    match = re.search(r"version (\S+(?: \([^)]*\))?)", ended.output)
    if not ended.ok or match is None:
        raise HostError(f"{program} --version failed", detail=ended.tail)
    return match[1]


def _cached_proof(store: Store, version: str, kvm_argv: Callable[[Path], Sequence[str]], timeout_s: float) -> Verdict:
    flags = [word for word in kvm_argv(Path("console")) if not word.startswith("/")]
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    name = f"kvm-{digest_of({'boot': boot_id, 'qemu': version, 'flags': flags})}"
    with store.lock(name):
        known = store.note(name)
        if known is not None:
            return Verdict(accelerator=Accelerator(known[0]["accelerator"]), reason=known[0]["reason"])
        verdict = _prove(kvm_argv, timeout_s)
        store.remember(name, {"accelerator": str(verdict.accelerator), "reason": verdict.reason})
    return verdict


def _refusal(device: Path, architecture: Architecture) -> str:
    """Why KVM is out of the question without trying it; empty when it is not."""
    if architecture is not native_architecture():
        return f"KVM runs this host's own architecture, {platform.machine()}, and the guest's is {architecture}"
    if not device.exists():
        return f"there is no {device}"
    if not os.access(device, os.R_OK | os.W_OK):
        return f"{device} may not be opened by this user; `sudo usermod -aG kvm $USER` and a new login let it"
    return ""


def _prove(kvm_argv: Callable[[Path], Sequence[str]], timeout_s: float) -> Verdict:
    with tempfile.TemporaryDirectory(prefix="vmlab-kvm-") as directory:
        console = Path(directory, "console")
        try:
            seconds = _first_line(kvm_argv(console), console, timeout_s)
        except _Silent as silence:
            return Verdict(accelerator=Accelerator.TCG, reason=f"KVM was tried and {silence}")
    return Verdict(accelerator=Accelerator.KVM, reason=f"proved: the kernel's first line came after {seconds:.1f} s")


def _first_line(argv: Sequence[str], console: Path, timeout_s: float) -> float:
    """Seconds until the kernel prints its banner; raises `_Silent` when it aborts or says nothing."""
    started = time.monotonic()
    child = subprocess.Popen(
        tied_to_parent(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        while time.monotonic() - started < timeout_s:
            if console.exists() and b"Linux version" in console.read_bytes():
                return time.monotonic() - started
            try:
                output, _ = child.communicate(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            if console.exists() and b"Linux version" in console.read_bytes():
                return time.monotonic() - started
            words = output.decode(errors="replace").strip().splitlines()
            raise _Silent(f"QEMU ended with status {child.returncode}: {words[0] if words else 'no message'}")
        raise _Silent(f"the kernel printed nothing in {timeout_s:.0f} s")
    finally:
        end(child, grace_s=2)
        if child.stdout is not None:
            child.stdout.close()
