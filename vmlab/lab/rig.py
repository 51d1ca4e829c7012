# SPDX-License-Identifier: MIT
"""The parts of a target's machines (image, accelerator, specification, timeouts), and the facts about them."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from vmlab.catalogue.target import Boot, Target
from vmlab.cloud.provision import obtain_provisioned
from vmlab.errors import AssetError, HostError, hides_frames
from vmlab.host.accelerator import ONLY_TCG_COUNTS, Accelerator, Verdict
from vmlab.host.limits import Limits, limits_for
from vmlab.host.nested import known_words
from vmlab.image.from_packages import obtain_image
from vmlab.image.image import Image
from vmlab.image.kernel_config import has_option
from vmlab.image.keys import LabKeys, lab_keys
from vmlab.lab.facts import TargetFacts, emulated, with_boot, with_build
from vmlab.lab.run import Run
from vmlab.machine.argv import PAGE_OWNER, MachineSpec, machine_spec
from vmlab.module.build import Built
from vmlab.provenance import Provenance
from vmlab.system.once import Once
from vmlab.timing.document import host_words
from vmlab.timing.series import TimingSource

__tracebackhide__ = hides_frames


class Rig:
    """One target's image, accelerator, machine specification and timeouts. Cheap to make."""

    def __init__(self, run: Run, target: Target) -> None:
        self.run = run
        self.target = target
        self._image = Once[Image](AssetError, HostError)
        self._facts: TargetFacts | None = None

    @property
    def image(self) -> Image:
        """The target's image; built if it is not in the store (costs minutes and network).

        If the build fails, every access raises the same `AssetError` or `HostError`; the build is not retried.
        """
        if self._image.made is not None:
            return self._image.made
        version = self.run.qemu_version(self.target.architecture)  # without QEMU an image is useless
        started = time.monotonic()
        image = self._image.obtain(self.obtain_image)
        self.hold(image)
        self._learn_image(image, version, time.monotonic() - started)
        return image

    def hold(self, image: Image) -> None:
        """Prevent other runs that need space from removing an image while this run lasts."""
        self.run.held.enter_context(self.run.store.hold(image.disk.parent))

    def obtain_image(self) -> Image:
        """Return the image from the store or build it, in one attempt."""
        stock, run = self.target.stock, self.run
        if stock.cloud is not None:
            return obtain_provisioned(run.context, run.accelerators, stock, stock.cloud)
        return obtain_image(stock, run.context)

    @property
    def keys(self) -> LabKeys:
        """The keys that the target's guests receive at boot."""
        return lab_keys(self.run.store)

    @property
    def host_verdict(self) -> Verdict:
        """The accelerator that this host uses for the target's kernel, KVM or TCG."""
        return self.run.accelerators.verdict(self.image)

    @property
    def accelerator(self) -> Verdict:
        """The accelerator of the target's guests: the host's best, or TCG for a guest under -icount."""
        if self.target.boot is Boot.ICOUNT:
            return Verdict(accelerator=Accelerator.TCG, reason=ONLY_TCG_COUNTS)
        return self.host_verdict

    @property
    def limits(self) -> Limits:
        """The timeouts of the target's guests."""
        return limits_for(self.accelerator.accelerator, patience=self.run.settings.patience)

    @property
    def spec(self) -> MachineSpec:
        """The specification of the target's machines."""
        parameters, settings = self.target.kernel_parameters, self.run.settings
        if self.target.boot is Boot.STRICT and has_option(self.image, "CONFIG_PAGE_OWNER"):
            parameters = (PAGE_OWNER, *parameters)
        # -icount uses one processor, unless --vmlab-cpus was given.
        is_single = self.target.boot is Boot.ICOUNT and settings.origin["cpus"] == "default"
        verdict = self.accelerator
        return machine_spec(
            self.image,
            verdict.accelerator,
            cpus=1 if is_single else settings.cpus,
            memory_mib=settings.memory_mib,
            cpu_model=verdict.cpu_model,
            kernel_parameters=parameters,
            boot=self.target.boot,
        )

    @property
    def facts(self) -> TargetFacts | None:
        """The facts about the target so far; None until its image is obtained."""
        lost = self.run.accelerators.lost
        return self._facts if self._facts is None or lost is None else emulated(self._facts, lost)

    @property
    def provenance(self) -> Provenance:
        """The provenance of results from the target's guests. Obtains the image first."""
        return self._known().provenance

    def learn_boot(self, boot_s: float, console: Path) -> None:
        """Record a boot: the seconds to its first answer, and its console's file."""
        self._facts = with_boot(self._known(), boot_s, console)

    def learn_fork(self, fork_s: float) -> None:
        """Record a fork, and for the first one the seconds to its first answer."""
        known = self._known()
        self._facts = dataclasses.replace(known, fork_s=known.fork_s or fork_s, forks=known.forks + 1)

    def learn_discarded_fork(self, why: str) -> None:
        """Record a discarded fork and give a notice."""
        known = self._known()
        self._facts = dataclasses.replace(known, forks_discarded=known.forks_discarded + 1)
        self.run.context.tell(self.target.id, "a fork was discarded and replaced by a boot", why)

    def learn_build(self, built: Built) -> None:
        """Record a build of the module."""
        self._facts = with_build(self._known(), built)

    def _known(self) -> TargetFacts:
        _ = self.image  # creates the facts
        facts = self.facts
        assert facts is not None
        return facts

    def _learn_image(self, image: Image, version: str, took_s: float) -> None:
        verdict, spec = self.accelerator, self.spec
        if verdict.is_fallback:
            self.run.context.notice(f"guests are emulated, and slow: {verdict.short_reason}{known_words(os.environ)}")
        provenance = Provenance(
            release=image.release,
            kernel_package=image.kernel_package,
            image=image.digest,
            cloud_image=image.cloud_image,
            qemu=version,
            accelerator=str(verdict.accelerator),
            accelerator_reason=verdict.reason,
            cpu_model=spec.cpu_model,
            cpus=spec.cpus,
            memory_mib=spec.memory_mib,
            timing_source=str(TimingSource.CLOCK),
            host=host_words(),
        )
        state = "built" if image.is_new else "cached"
        self._facts = TargetFacts(provenance=provenance, image=state, image_s=took_s, boot_s=0.0, boots=0)
