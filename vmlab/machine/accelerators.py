# SPDX-License-Identifier: MIT
"""The accelerators of a run, and the fall from KVM to emulation while it is under way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from vmlab.catalogue.matrix import Matrix
from vmlab.catalogue.target import Architecture
from vmlab.context import Context
from vmlab.errors import KvmRefused
from vmlab.host.accelerator import (
    PROOF_TIMEOUT_S,
    Accelerator,
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
    """The verdicts of one run. KVM that was had and is lost is not tried again in it."""

    def __init__(self, context: Context, matrix: Matrix, *, qemu_version: Callable[[Architecture], str]) -> None:
        self._context = context
        self._settings = context.settings
        self._matrix = matrix
        self._qemu_version = qemu_version
        self._had_kvm = False
        self.lost: Verdict | None = None
        """What took the place of KVM that was lost."""

    def verdict(self, image: Image) -> Verdict:
        """KVM or TCG for an image's kernel and the CPU model, proved here; remembered until the host boots again."""
        settings = self._settings
        spec = machine_spec(image, Accelerator.KVM, cpus=settings.cpus, memory_mib=settings.memory_mib)
        return self.choose(
            image.architecture,
            kvm_argv=lambda cpu_model, console: proof_argv(spec, cpu_model=cpu_model, console=console),
        )

    def proof_image(self, architecture: Architecture) -> Image | None:
        """Some image that is in the store already, to prove KVM with; None when there is none."""
        for target in self._matrix.targets:
            image = cached_image(target, self._context.store) if target.architecture is architecture else None
            if image is not None:
                return image
        return None

    def choose(
        self,
        architecture: Architecture,
        *,
        kvm_argv: Callable[[str, Path], Sequence[str]],
        timeout_s: float = PROOF_TIMEOUT_S,
    ) -> Verdict:
        """KVM or TCG, as `choose_accelerator`; `timeout_s` is multiplied by the user's patience.

        Whether the device may be opened is looked at each time. Raises `HostError` when the user demands KVM and it
        cannot be had, or no longer.
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
        """Do something that starts a machine, and do it again by emulation when QEMU is refused KVM over it.

        Raises `HostError` when the user demands KVM.
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
        self._context.notice(f"guests are emulated from here on, and slow: {self.lost.reason}")
        return self.lost
