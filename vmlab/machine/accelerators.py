# SPDX-License-Identifier: MIT
"""Accelerators of a run, and the fallback from KVM to TCG during the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from vmlab.catalogue.matrix import Matrix
from vmlab.catalogue.target import Architecture
from vmlab.context import Context
from vmlab.errors import KvmRefused
from vmlab.host.accelerator import (
    PROOF_TIMEOUT_S,
    Accelerator,
    KvmArgv,
    Verdict,
    choose_accelerator,
    demanded_and_not_had,
)
from vmlab.host.binfmt import native_architecture
from vmlab.image.image import Image
from vmlab.image.sealed import cached_image
from vmlab.machine.argv import machine_spec, proof_argv
from vmlab.settings import AcceleratorChoice

T = TypeVar("T")


class Accelerators:
    """Accelerator verdicts of one run. KVM that is lost during the run is not retried."""

    def __init__(self, context: Context, matrix: Matrix, *, qemu_version: Callable[[Architecture], str]) -> None:
        self._context = context
        self._settings = context.settings
        self._matrix = matrix
        self._qemu_version = qemu_version
        self._had_kvm = False
        self.lost: Verdict | None = None
        """Verdict that replaced KVM after it was lost; None if it was not."""

    def verdict(self, image: Image) -> Verdict:
        """Prove KVM or TCG and the CPU model for an image's kernel; the result is cached until the host reboots."""
        settings = self._settings
        spec = machine_spec(image, Accelerator.KVM, cpus=settings.cpus, memory_mib=settings.memory_mib)
        return self.choose(
            image.architecture,
            kvm_argv=lambda model, console, names: proof_argv(spec, cpu_model=model, console=console, names=names),
        )

    def proof_image(self, architecture: Architecture) -> Image | None:
        """Find an image in the store to prove KVM with; None when there is none."""
        for target in self._matrix.targets:
            image = cached_image(target, self._context.store) if target.architecture is architecture else None
            if image is not None:
                return image
        return None

    def choose(
        self,
        architecture: Architecture,
        *,
        kvm_argv: KvmArgv,
        timeout_s: float = PROOF_TIMEOUT_S,
    ) -> Verdict:
        """Choose KVM or TCG with `choose_accelerator`; `timeout_s` is multiplied by the user's `patience`.

        Checks each time that the device can be opened. Raises `HostError` when the user requires KVM and it does not
        work, or no longer works.
        """
        if self.lost is not None and architecture is native_architecture():
            return self.lost
        verdict = choose_accelerator(
            self._settings.accel,
            architecture=architecture,
            store=self._context.store,
            qemu_version=self._qemu_version(architecture),
            kvm_argv=kvm_argv,
            timeout_s=timeout_s * self._settings.patience,
        )
        if verdict.accelerator is Accelerator.KVM:
            self._had_kvm = True
        elif self._had_kvm and verdict.is_fallback and architecture is native_architecture():
            return self._lose(verdict.reason)
        return verdict

    def despite_loss(self, act: Callable[[], T]) -> T:
        """Call `act`, which starts a machine, and retry it once with TCG when QEMU is refused KVM.

        Raises `HostError` when the user requires KVM.
        """
        try:
            return act()
        except KvmRefused as refusal:
            if self._settings.accel is AcceleratorChoice.KVM:
                raise demanded_and_not_had(refusal.message) from None
            if self.lost is None:
                self._lose(refusal.message)
            return act()

    def _lose(self, why: str) -> Verdict:
        self.lost = Verdict(accelerator=Accelerator.TCG, reason=f"KVM was lost after it was proved: {why}")
        self._context.notice(f"guests are emulated from now on, which is slow: {self.lost.reason}")
        return self.lost
