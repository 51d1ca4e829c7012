# SPDX-License-Identifier: MIT
"""The accelerators of a run, and the fall from KVM to emulation while it is under way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from vmlab.catalogue.target import Architecture
from vmlab.errors import KvmRefused
from vmlab.host.accelerator import (
    PROOF_TIMEOUT_S,
    Accelerator,
    Verdict,
    choose_accelerator,
    demanded_and_not_had,
)
from vmlab.host.binfmt import native_architecture
from vmlab.settings import AcceleratorChoice, Settings
from vmlab.store.store import Store

T = TypeVar("T")


class Accelerators:
    """The verdicts of one run. KVM that was had and is lost is not tried again in it."""

    def __init__(self, settings: Settings, store: Store, *, on_loss: Callable[[Verdict], None]) -> None:
        """`on_loss` hears the verdict that takes the place of KVM's, once."""
        self._settings = settings
        self._store = store
        self._on_loss = on_loss
        self._had_kvm = False
        self._lost: Verdict | None = None

    def choose(
        self,
        architecture: Architecture,
        *,
        qemu_version: str,
        kvm_argv: Callable[[str, Path], Sequence[str]],
        timeout_s: float = PROOF_TIMEOUT_S,
    ) -> Verdict:
        """KVM or TCG, as `choose_accelerator`; `timeout_s` is multiplied by the user's patience.

        Whether the device may be opened is looked at each time. Raises `HostError` when the user demands KVM and it
        cannot be had, or no longer.
        """
        if self._lost is not None and architecture is native_architecture():
            return self._lost
        verdict = choose_accelerator(
            self._settings.accel,
            architecture=architecture,
            store=self._store,
            qemu_version=qemu_version,
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
            if self._lost is None:
                self._lose(refusal.message)
            return act()

    def _lose(self, why: str) -> Verdict:
        self._lost = Verdict(accelerator=Accelerator.TCG, reason=f"KVM was lost after it was proved: {why}")
        self._on_loss(self._lost)
        return self._lost
