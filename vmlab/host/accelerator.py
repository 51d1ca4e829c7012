# SPDX-License-Identifier: MIT
"""Choice between KVM and TCG, and of the CPU model. KVM is used only if it boots the kernel: a device that opens
proves nothing."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vmlab.catalogue.target import Architecture
from vmlab.decode import structure, unstructure
from vmlab.errors import HostError, UsageError
from vmlab.host.binfmt import native_architecture, setup_command
from vmlab.host.confinement import Confinement, confined_words, environment, find_confinement
from vmlab.host.handover import Handover, Names
from vmlab.host.kvm import kvm_parameters
from vmlab.host.nested import options_known, without_refused
from vmlab.host.processor import Processor, read_processor
from vmlab.settings import AcceleratorChoice
from vmlab.store.store import Store, digest_of
from vmlab.system.process import end, find_program, run, tied_to_parent
from vmlab.system.scratch import ScratchDirectory

PROOF_TIMEOUT_S = 12.0
"""Timeout for the kernel's first line: it takes under a second with KVM, and a few on a slow nested host."""


_ASKED_FOR = "asked for"
ONLY_TCG_COUNTS = "only TCG counts instructions"
TCG_IS_MEANT = (_ASKED_FOR, ONLY_TCG_COUNTS)
"""Reasons for TCG that the user chose, and that need no notice."""


KvmArgv = Callable[[str, Path, Names], Sequence[str]]
"""Returns QEMU's arguments for a CPU model, a console's path, and the names of the other files."""


class Accelerator(StrEnum):
    """Accelerator that QEMU runs the guest's instructions with."""

    KVM = "kvm"
    TCG = "tcg"


def qemu_program(architecture: Architecture) -> str:
    """Name of the QEMU program for an architecture."""
    return {Architecture.AMD64: "qemu-system-x86_64", Architecture.ARM64: "qemu-system-aarch64"}[architecture]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Accelerator to use, and the reason for it."""

    accelerator: Accelerator
    reason: str
    """Full reason in one line: the proof, and each CPU model that failed before it."""
    cpu_model: str = ""
    """Value for QEMU's `-cpu`, proved under KVM; empty under TCG, whose model does not depend on this host."""
    steps: tuple[str, ...] = ()
    """CPU models that failed under KVM, each with the failure, in the order they were tried."""

    @property
    def is_fallback(self) -> bool:
        """True if TCG is used because KVM does not work, not because it was selected."""
        return self.accelerator is Accelerator.TCG and self.reason not in TCG_IS_MEANT

    @property
    def short_reason(self) -> str:
        """Short form of the reason: the run's header and its results have each step."""
        return "KVM does not boot a kernel on this host (`vmlab doctor` shows details)" if self.steps else self.reason


class _NoKernel(Exception):
    """KVM did not boot the kernel; the text says what happened instead."""

    def __init__(self, why: str, *, is_silence: bool) -> None:
        super().__init__(why)
        self.is_silence = is_silence


def cpu_ladder(processor: Processor) -> tuple[str, ...]:
    """CPU models to try under KVM, the best first: the full host CPU, the host CPU without PMU, a named model.

    `host` enables the PMU if KVM offers one. Nested hosts that refuse a PMU register make QEMU abort (MSR 0x38d,
    IA32_FIXED_CTR_CTRL); `pmu=off` avoids it. The guest proves that its PMU counts: AMD's PMU has no CPUID leaf to
    hide, and QEMU before 383374465155 (2026) did not disable it.

    A known refused register costs only its feature: `nested.REFUSED_REGISTERS` adds a step for it. The last step is a
    named model, with few features that can be refused. It must be x86-64-v2, which current user space requires and
    qemu64 lacks (QEMU's docs/system/cpu-models-x86.rst). It is `EPYC` for AMD and Hygon, whose kernel code checks the
    family, else `Nehalem`, a subset of every Intel CPU since 2008. Under KVM QEMU keeps the host's vendor, and drops
    features that the host lacks, with a warning. arm64 has no named models under KVM.
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
    kvm_argv: KvmArgv,
    ladder: Sequence[str] | None = None,
    device: Path = Path("/dev/kvm"),
    timeout_s: float = PROOF_TIMEOUT_S,
    confinement: Confinement | None = None,
) -> Verdict:
    """Choose KVM or TCG, and KVM's CPU model: the first of `ladder` under which the kernel prints its banner.

    Starts QEMU for each model; the result is cached per host boot, QEMU version and flags. `kvm_argv` returns QEMU's
    arguments: the flags and kernel of the real machine. Without `confinement` QEMU gets all restrictions that this host
    allows. The default `ladder` is
    this host's. Costs a fraction of a second for a model that boots or makes QEMU abort, and `timeout_s` for one that
    prints nothing (two at most). Raises `HostError` when the user requires KVM and it does not work.
    """
    known = without_proof(choice, architecture, device=device)
    if known is not None:
        return known
    models = cpu_ladder(read_processor()) if ladder is None else tuple(ladder)
    verdict = _cached_proof(store, qemu_version, kvm_argv, models, timeout_s, confinement)
    if choice is AcceleratorChoice.KVM and verdict.accelerator is not Accelerator.KVM:
        raise demanded_and_not_had(verdict.reason)
    return verdict


def without_proof(
    choice: AcceleratorChoice, architecture: Architecture, *, device: Path = Path("/dev/kvm")
) -> Verdict | None:
    """Return the verdict if it needs no boot: TCG was selected, or KVM cannot be used at all.

    None when KVM must be proved. Raises `HostError` when the user requires KVM and it cannot be used.
    """
    if choice is AcceleratorChoice.TCG:
        return Verdict(accelerator=Accelerator.TCG, reason=_ASKED_FOR)
    refusal = refusal_of_kvm(device, architecture)
    if refusal and choice is AcceleratorChoice.KVM:
        raise demanded_and_not_had(refusal)
    return Verdict(accelerator=Accelerator.TCG, reason=refusal) if refusal else None


def ladder_words(verdict: Verdict) -> str:
    """Format the verdict for a header: the accelerator, the step of the ladder that worked, and the reason."""
    if verdict.accelerator is Accelerator.KVM:
        step = f"step {len(verdict.steps) + 1} of the ladder" if verdict.steps else "the ladder's first step"
        return f"kvm, -cpu {verdict.cpu_model}, {step}: {verdict.reason}"
    return f"tcg, emulation: {verdict.reason}"


def demanded_and_not_had(reason: str) -> HostError:
    """Error for a run that requires KVM on a host where it does not work."""
    return HostError(f"KVM was requested but does not work: {reason}", hint="use --vmlab-accel auto or tcg")


@functools.cache
def qemu_version(architecture: Architecture) -> str:
    """Version that the QEMU for an architecture prints; raises `HostError` with the command that installs it when it
    is missing."""
    program = qemu_program(architecture)
    if find_program(program) is None:
        raise HostError(
            f"{program} is not installed, but {architecture} guests need it", hint=setup_command(architecture)
        )
    ended = run([program, "--version"], timeout_s=30)
    match = re.search(r"version (\S+(?: \([^)]*\))?)", ended.output)
    if not ended.ok or match is None:
        raise HostError(f"{program} --version failed", detail=ended.tail)
    return match[1]


def _cached_proof(
    store: Store,
    version: str,
    kvm_argv: KvmArgv,
    ladder: tuple[str, ...],
    timeout_s: float,
    confinement: Confinement | None,
) -> Verdict:
    flags = [word for word in kvm_argv(ladder[0], Path("console"), Names()) if not word.startswith("/")]
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    # KVM's parameters can change without a boot, when its modules are reloaded.
    inputs: dict[str, object] = {
        "kvm": dict(kvm_parameters()),
        "boot": boot_id,
        "qemu": version,
        "flags": flags,
        "ladder": [*ladder, *options_known()],
        # A model that printed nothing may print its banner within a longer timeout.
        "timeout": timeout_s,
    }
    name = f"kvm-ladder-{digest_of(inputs)}"
    with store.lock(name):
        known = store.note(name)
        if known is not None:
            # Another version of vmlab may have written the note in another format: prove KVM again then.
            with contextlib.suppress(UsageError):
                return structure(known[0], Verdict, where=name)
        verdict = _prove(kvm_argv, ladder, timeout_s, confinement or find_confinement(flags[0], is_kvm=True))
        store.remember(name, unstructure(verdict))
    return verdict


def refusal_of_kvm(device: Path, architecture: Architecture) -> str:
    """Return the reason why KVM cannot be used at all; empty when it is worth a try."""
    if architecture is not native_architecture():
        return f"KVM runs only this host's architecture, {platform.machine()}, and the guest is {architecture}"
    if not device.exists():
        return f"{device} does not exist"
    try:
        # Not access(2): only open(2) detects a container's device rules and a device without a driver.
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        return f"no permission to open {device}: run `sudo usermod -aG kvm $USER` and log in again"
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    return ""


def _prove(kvm_argv: KvmArgv, ladder: Sequence[str], timeout_s: float, confinement: Confinement) -> Verdict:
    """Try the models in order until a kernel prints its banner.

    An abort of QEMU takes no time, so the next model is always tried after it. After a timeout, models that differ
    only in options are skipped: a kernel prints its first line long before it looks at the PMU. A named model is still
    worth one more timeout: the kernel may hang on a feature that `host` shows and the host cannot run. A register that
    the host refuses by number adds a step without its feature.
    """
    failed: dict[str, str] = {}
    silent = ""
    rungs = list(ladder)
    while rungs:
        model = rungs.pop(0)
        if model in failed:
            continue
        if silent and model.startswith(f"{silent},"):
            failed[model] = f"not tried: it is {silent} with other options, and {silent} timed out"
            continue
        confined = confinement.for_machine()
        with ScratchDirectory(needed_mib=1, what="a console") as directory, Handover(confined) as given:
            console = directory / "console"
            confined.give(console.parent)
            argv = confined_words(kvm_argv(model, console, given), confined)
            try:
                seconds = _first_line(argv, console, timeout_s, confined, given.descriptors)
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
    """Format the failed steps: models with the same failure are named together, skipped models are left out."""
    fates: dict[str, list[str]] = {}
    for model, why in failed.items():
        if not why.startswith("not tried"):
            fates.setdefault(why, []).append(model)
    return [f"with -cpu {' and '.join(models)}: {why}" for why, models in fates.items()]


def _first_line(
    argv: Sequence[str], console: Path, timeout_s: float, confinement: Confinement, descriptors: Sequence[int]
) -> float:
    """Seconds until the kernel prints its banner; raises `_NoKernel` when QEMU ends or the kernel prints nothing."""
    started = time.monotonic()
    child = subprocess.Popen(
        [*confinement.prefix(), *tied_to_parent(argv)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=descriptors,
        env=environment(console.parent),
        cwd="/",
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
    """QEMU's first line that is not a warning: it warns of features that the host lacks before the error."""
    lines = [line for line in output.strip().splitlines() if line.strip()]
    return next((line for line in lines if "warning:" not in line), lines[0] if lines else "no message")
