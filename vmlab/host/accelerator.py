# SPDX-License-Identifier: MIT
"""KVM or TCG, with which processor, and why. KVM counts only when it ran the kernel: a device that opens proves
nothing."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.decode import structure, unstructure
from vmlab.errors import HostError, UsageError
from vmlab.host.binfmt import native_architecture, setup_command
from vmlab.host.kvm import kvm_parameters
from vmlab.host.nested import options_known, without_refused
from vmlab.host.processor import Processor, read_processor
from vmlab.settings import AcceleratorChoice
from vmlab.store.store import Store, digest_of
from vmlab.system.process import end, find_program, run, tied_to_parent

PROOF_TIMEOUT_S = 12.0
"""A kernel under KVM prints its first line within a second; a nested host that emulates much may need a few."""


_ASKED_FOR = "asked for"
ONLY_TCG_COUNTS = "only TCG counts instructions"
TCG_IS_MEANT = (_ASKED_FOR, ONLY_TCG_COUNTS)
"""The reasons of a verdict that nobody needs to be told of."""


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
    """All of it in one line: the proof, and each step down the ladder that came before."""
    cpu_model: str = ""
    """What QEMU's `-cpu` takes, proved under KVM; empty under TCG, whose model is no matter of this host's."""
    steps: tuple[str, ...] = ()
    """Each CPU model that KVM was tried with in vain, and what was seen, the first one first."""

    @property
    def is_fallback(self) -> bool:
        """Whether emulation is what was left, and not what was asked for."""
        return self.accelerator is Accelerator.TCG and self.reason not in TCG_IS_MEANT

    @property
    def short_reason(self) -> str:
        """The reason for a reader who has seen it before: each step is in a run's header, and in its results."""
        return "KVM was tried and runs no kernel here: `vmlab doctor` tells more" if self.steps else self.reason


class _NoKernel(Exception):
    """KVM did not run the kernel; the text says what was seen instead."""

    def __init__(self, why: str, *, is_silence: bool) -> None:
        super().__init__(why)
        self.is_silence = is_silence


def cpu_ladder(processor: Processor) -> tuple[str, ...]:
    """CPU models to try under KVM, the best first: all that the host has, the same without its PMU, a plain one.

    `host` has the PMU on: QEMU asks KVM for one, and the host decides. Nested hosts that refuse one of the PMU's
    registers make QEMU abort (MSR 0x38d, IA32_FIXED_CTR_CTRL), which `pmu=off` spares them. Whether the guest's PMU
    counts is proved in the guest: AMD's has no CPUID leaf to hide, and before 383374465155 (2026) QEMU left it be.

    A register that is refused and known costs its feature alone: `nested.REFUSED_REGISTERS` adds a step for it. Last
    comes a named model, which has few features to be refused. It is x86-64-v2 or better, which today's user space wants
    and qemu64 is not (QEMU's docs/system/cpu-models-x86.rst): `EPYC` for AMD and Hygon, whose kernel code looks at the
    family, and `Nehalem` for the others, which every Intel since 2008 contains. Under KVM QEMU keeps the host's vendor
    and leaves out, with a warning, what the host has not got. arm64 knows no named model under KVM.
    """
    if processor.architecture != "x86_64":
        return ("host", "host,pmu=off")
    return ("host", "host,pmu=off", "EPYC" if processor.vendor in ("AuthenticAMD", "HygonGenuine") else "Nehalem")


def choose_accelerator(
    choice: AcceleratorChoice,
    *,
    architecture: Architecture,
    store: Store,
    qemu_version: str,
    kvm_argv: Callable[[str, Path], Sequence[str]],
    ladder: Sequence[str] | None = None,
    device: Path = Path("/dev/kvm"),
    timeout_s: float = PROOF_TIMEOUT_S,
) -> Verdict:
    """Decide between KVM and TCG, and KVM's CPU model: the first of `ladder` under which the kernel speaks.

    Starts QEMU for each model, once per host boot, QEMU and flags. `kvm_argv` gives QEMU's arguments for a CPU model
    and a console written to a path: the flags and kernel that will really be used. `ladder` is this host's unless
    given. Costs a fraction of a second for a model that runs, or that QEMU aborts with, and `timeout_s` for one that
    is silent, of which there are two at most. Raises `HostError` when the user demands KVM and it cannot be had.
    """
    known = without_proof(choice, architecture, device=device)
    if known is not None:
        return known
    models = cpu_ladder(read_processor()) if ladder is None else tuple(ladder)
    verdict = _cached_proof(store, qemu_version, kvm_argv, models, timeout_s)
    if choice is AcceleratorChoice.KVM and verdict.accelerator is not Accelerator.KVM:
        raise demanded_and_not_had(verdict.reason)
    return verdict


def without_proof(
    choice: AcceleratorChoice, architecture: Architecture, *, device: Path = Path("/dev/kvm")
) -> Verdict | None:
    """The verdict where no kernel needs to be started for it: TCG was asked for, or KVM is out of the question.

    None when KVM is to be proved. Raises `HostError` when the user demands KVM and it is out of the question.
    """
    if choice is AcceleratorChoice.TCG:
        return Verdict(accelerator=Accelerator.TCG, reason=_ASKED_FOR)
    refusal = _refusal(device, architecture)
    if refusal and choice is AcceleratorChoice.KVM:
        raise demanded_and_not_had(refusal)
    return Verdict(accelerator=Accelerator.TCG, reason=refusal) if refusal else None


def ladder_words(verdict: Verdict) -> str:
    """The verdict for a header: the accelerator, which step down the ladder it was found at, and why."""
    if verdict.accelerator is Accelerator.KVM:
        step = f"step {len(verdict.steps) + 1} of the ladder" if verdict.steps else "the ladder's first step"
        return f"kvm, -cpu {verdict.cpu_model}, {step}: {verdict.reason}"
    return f"tcg, emulation: {verdict.reason}"


def demanded_and_not_had(reason: str) -> HostError:
    """The error of a run whose user demands KVM."""
    return HostError(f"KVM was asked for and cannot be had: {reason}", hint="use --vmlab-accel auto or tcg")


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


def _cached_proof(
    store: Store,
    version: str,
    kvm_argv: Callable[[str, Path], Sequence[str]],
    ladder: tuple[str, ...],
    timeout_s: float,
) -> Verdict:
    flags = [word for word in kvm_argv(ladder[0], Path("console")) if not word.startswith("/")]
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # KVM's own settings can change without a boot: its modules are loaded anew with others.
    inputs: dict[str, object] = {
        "kvm": dict(kvm_parameters()),
        "boot": boot_id,
        "qemu": version,
        "flags": flags,
        "ladder": [*ladder, *options_known()],
        # What was silent for so long may speak to somebody with more patience.
        "timeout": timeout_s,
    }
    name = f"kvm-ladder-{digest_of(inputs)}"
    with store.lock(name):
        known = store.note(name)
        if known is not None:
            # A note that another version left in another form is no verdict: it is found anew.
            with contextlib.suppress(UsageError):
                return structure(known[0], Verdict, where=name)
        verdict = _prove(kvm_argv, ladder, timeout_s)
        store.remember(name, unstructure(verdict))
    return verdict


def _refusal(device: Path, architecture: Architecture) -> str:
    """Why KVM is out of the question without trying it; empty when it is not."""
    if architecture is not native_architecture():
        return f"KVM runs this host's own architecture, {platform.machine()}, and the guest's is {architecture}"
    if not device.exists():
        return f"there is no {device}"
    try:
        # Not access(2): a container's device rules and a device without a driver are met by opening it alone.
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        return f"{device} may not be opened by this user; `sudo usermod -aG kvm $USER` and a new login let it"
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    return ""


def _prove(kvm_argv: Callable[[str, Path], Sequence[str]], ladder: Sequence[str], timeout_s: float) -> Verdict:
    """Down the ladder until a kernel speaks.

    QEMU's abort costs no time, so each model is tried after it. After silence those that differ in options alone are
    left out: a kernel prints its first line long before it looks at the PMU. A plain model is still worth one more
    wait, since what stops a kernel that early may be a feature that `host` shows and the host cannot run. A register
    that the host refuses by number adds a step of its own, without its feature.
    """
    failed: dict[str, str] = {}
    silent = ""
    rungs = list(ladder)
    while rungs:
        model = rungs.pop(0)
        if model in failed:
            continue
        if silent and model.startswith(f"{silent},"):
            failed[model] = f"not tried: it is {silent} with other options, and {silent} was silent"
            continue
        with tempfile.TemporaryDirectory(prefix="vmlab-kvm-") as directory:
            console = Path(directory, "console")
            try:
                seconds = _first_line(kvm_argv(model, console), console, timeout_s)
            except _NoKernel as error:
                failed[model] = str(error)
                silent = model if error.is_silence else silent
                without = without_refused(model, str(error))
                rungs[:0] = [without] if without else []
                continue
        proof = f"proved with -cpu {model}: the kernel's first line came after {seconds:.1f} s"
        return Verdict(
            accelerator=Accelerator.KVM,
            reason="; before that, ".join((proof, *_told(failed))),
            cpu_model=model,
            steps=_steps(failed),
        )
    return Verdict(
        accelerator=Accelerator.TCG, reason=f"KVM was tried {'; '.join(_told(failed))}", steps=_steps(failed)
    )


def _steps(failed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"-cpu {model}: {why}" for model, why in failed.items())


def _told(failed: Mapping[str, str]) -> list[str]:
    """The steps for one line: models that met the same fate are named together, those that were left out are not."""
    fates: dict[str, list[str]] = {}
    for model, why in failed.items():
        if not why.startswith("not tried"):
            fates.setdefault(why, []).append(model)
    return [f"with -cpu {' and '.join(models)}: {why}" for why, models in fates.items()]


def _first_line(argv: Sequence[str], console: Path, timeout_s: float) -> float:
    """Seconds until the kernel prints its banner; raises `_NoKernel` when QEMU aborts or the kernel says nothing."""
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
            words = _complaint(output.decode(errors="replace"))
            raise _NoKernel(f"QEMU ended with status {child.returncode}: {words}", is_silence=False)
        raise _NoKernel(f"the kernel printed nothing in {timeout_s:.0f} s", is_silence=True)
    finally:
        end(child, grace_s=2)
        if child.stdout is not None:
            child.stdout.close()


def _complaint(output: str) -> str:
    """QEMU's first line that is no warning: features that the host lacks are warned of before the error comes."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return next((line for line in lines if "warning:" not in line), lines[0] if lines else "no message")
